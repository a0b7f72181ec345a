#include "supervisor/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "supervisor/clock.h"
#include "supervisor/json_text.h"
#include "sys/fd.h"
#include "sys/json.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr const char* kRecordName = "container.json";
constexpr size_t kMaxRecordSize = 16 << 20;
constexpr off_t kMaxJournalSize = 1 << 20;
// Labels may be of any size: an event that would be longer goes without them.
constexpr size_t kMaxLine = 16384;
constexpr int kMaxAttempts = 3;

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

sys::Fd open_journal(const std::string& folder, const std::string& path) {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  int fd = open(path.c_str(), kFlags, 0600);
  // One level only: where the run-time folder itself is gone, so is whoever would read.
  if (fd < 0 && errno == ENOENT && (mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST)) {
    fd = open(path.c_str(), kFlags, 0600);
  }
  return sys::Fd(fd);
}

// Who locks the file that still has the name moves it away, once. Never waited for: the one who has the lock may be
// stopped, and the file then only grows a little longer.
void rotate(const sys::Fd& journal, const std::string& path) {
  if (flock(journal.get(), LOCK_EX | LOCK_NB) != 0) return;
  struct stat ours {};
  struct stat named {};
  if (fstat(journal.get(), &ours) != 0 || stat(path.c_str(), &named) != 0) return;
  if (ours.st_ino == named.st_ino && ours.st_dev == named.st_dev) rename(path.c_str(), (path + ".1").c_str());
}

std::string attributes_json(const std::vector<const EventAttributes*>& lists) {
  JsonText json;
  for (const EventAttributes* list : lists) {
    for (const auto& [name, value] : *list) json.put(name.c_str(), value);
  }
  return json.text();
}

}  // namespace

void append_to_journal(const std::string& folder, std::string_view line) {
  const std::string path = folder + "/journal";
  // With a newline before it too, so that what a killed writer left torn ends there.
  const std::string data = "\n" + std::string(line) + "\n";
  for (int attempt = 0; attempt < kMaxAttempts; attempt++) {
    const sys::Fd journal = open_journal(folder, path);
    // Where the disk is full, nobody is told: there is no room to tell it in.
    if (!journal || write(journal.get(), data.data(), data.size()) < 0) return;
    struct stat info {};
    if (fstat(journal.get(), &info) != 0) return;
    // Rotated away twice since it was opened: nobody reads that file any more.
    if (info.st_nlink == 0) continue;
    if (info.st_size > kMaxJournalSize) rotate(journal, path);
    return;
  }
}

Journal::Journal(const std::string& socket, std::string bundle, std::string id)
    : folder_(parent_of(parent_of(socket)) + "/events"), bundle_(std::move(bundle)), id_(std::move(id)) {}

void Journal::load() {
  auto text = sys::read_file(bundle_ + "/" + kRecordName, kMaxRecordSize);
  rapidjson::Document document;
  if (!text || !sys::parse_json(document, *text)) return;
  sys::JsonReader reader(kRecordName);
  known_ = {{"image", reader.text(&document, "image")}, {"name", reader.text(&document, "name")}};
  labels_.clear();
  if (const sys::Json* labels = reader.object(&document, "labels")) {
    for (const auto& label : labels->GetObject()) {
      if (label.value.IsString()) labels_.emplace_back(label.name.GetString(), label.value.GetString());
    }
  }
  loaded_ = true;
}

void Journal::note(const char* action, const EventAttributes& extra) {
  if (!loaded_) load();
  std::string attributes = attributes_json({&labels_, &known_, &extra});
  if (attributes.size() > kMaxLine) attributes = attributes_json({&known_, &extra});
  JsonText json;
  json.put("time", now_text()).put("type", "container").put("action", action).put("id", id_);
  append_to_journal(folder_, json.put_raw("attributes", attributes).text());
}

}  // namespace supervisor
