#include "layer_support.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "layer/mend.h"
#include "layer/pack.h"
#include "sys/bytes.h"
#include "sys/tree.h"

namespace layer_test {
namespace {

std::string padded(const std::string& data) { return data + std::string((512 - data.size() % 512) % 512, '\0'); }

void put(std::string& block, size_t offset, const std::string& text) { block.replace(offset, text.size(), text); }

std::optional<std::string> slurp(const std::string& path) {
  const sys::Fd fd(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat status = {};
  if (!fd || fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  std::string text(static_cast<size_t>(status.st_size), '\0');
  if (read(fd.get(), text.data(), text.size()) != status.st_size) return std::nullopt;
  return text;
}

// The walk has no argument of ours.
std::vector<std::string> g_names;
size_t g_root_size;

int note_name(const char* path, const struct stat* status, int, FTW*) {
  if (strlen(path) <= g_root_size) return 0;
  g_names.emplace_back(path + g_root_size + 1);
  if (S_ISDIR(status->st_mode)) g_names.back() += '/';
  return 0;
}

}  // namespace

std::string octal(uint64_t value, size_t width) {
  char text[32];
  snprintf(text, sizeof text, "%0*lo", static_cast<int>(width), static_cast<unsigned long>(value));
  return text;
}

std::string base256(int64_t value, size_t width) {
  std::string bytes(width, value < 0 ? '\xff' : '\0');
  for (size_t at = width; at > 0 && at + 8 > width; at--) {
    bytes[at - 1] = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  bytes[0] = static_cast<char>(bytes[0] | 0x80);
  return bytes;
}

std::string pax_records(const Records& records) {
  std::string text;
  for (const auto& [key, value] : records) {
    std::string rest = " ";
    rest.append(key).append("=").append(value).append("\n");
    size_t size = rest.size() + 1;
    while (std::to_string(size).size() + rest.size() != size) size = std::to_string(size).size() + rest.size();
    text.append(std::to_string(size)).append(rest);
  }
  return text;
}

sys::Result<std::span<const uint8_t>> Pieces::next() {
  const size_t size = std::min(step_, bytes_.size() - at_);
  const auto* start = reinterpret_cast<const uint8_t*>(bytes_.data()) + at_;
  at_ += size;
  return std::span<const uint8_t>(start, size);
}

Tar& Tar::add(const Fields& fields, const std::string& data) {
  std::string block(512, '\0');
  put(block, 0, fields.name.substr(0, 100));
  put(block, 100, fields.mode);
  put(block, 108, fields.uid);
  put(block, 116, fields.gid);
  put(block, 124, !fields.raw_size.empty() ? fields.raw_size : octal(fields.size.value_or(data.size()), 11));
  put(block, 136, fields.mtime);
  put(block, 156, std::string(1, fields.flag));
  put(block, 157, fields.link.substr(0, 100));
  put(block, 257, fields.magic);
  put(block, 329, fields.major);
  put(block, 337, fields.minor);
  put(block, 345, fields.prefix);
  for (const auto& [offset, bytes] : fields.patches) put(block, offset, bytes);
  put(block, 148, "        ");
  int64_t sum = fields.bad_checksum ? 1 : 0;
  for (const char byte : block)
    sum += fields.signed_checksum ? static_cast<signed char>(byte) : static_cast<unsigned char>(byte);
  put(block, 148, octal(static_cast<uint64_t>(sum), 6) + std::string("\0 ", 2));
  bytes_ += block + padded(data);
  return *this;
}

Tar& Tar::file(const std::string& name, const std::string& data, const std::string& mode) {
  Fields fields;
  fields.name = name;
  fields.mode = mode;
  return add(fields, data);
}

Tar& Tar::folder(const std::string& name, const std::string& mode) {
  Fields fields;
  fields.name = name;
  fields.flag = '5';
  fields.mode = mode;
  return add(fields);
}

Tar& Tar::symlink(const std::string& name, const std::string& target) {
  if (target.size() > 100) meta('K', target + std::string(1, '\0'));
  Fields fields;
  fields.name = name;
  fields.flag = '2';
  fields.link = target;
  return add(fields);
}

Tar& Tar::hardlink(const std::string& name, const std::string& target) {
  Fields fields;
  fields.name = name;
  fields.flag = '1';
  fields.link = target;
  return add(fields);
}

Tar& Tar::node(const std::string& name, char flag, uint64_t major, uint64_t minor) {
  Fields fields;
  fields.name = name;
  fields.flag = flag;
  fields.major = octal(major, 7);
  fields.minor = octal(minor, 7);
  return add(fields);
}

Tar& Tar::pax(const Records& records, char flag) { return pax_text(pax_records(records), flag); }

Tar& Tar::pax_text(const std::string& text, char flag) {
  Fields fields;
  fields.name = "PaxHeaders/x";
  fields.flag = flag;
  return add(fields, text);
}

Tar& Tar::meta(char flag, const std::string& data) {
  Fields fields;
  fields.name = "././@LongLink";
  fields.flag = flag;
  fields.magic = std::string("ustar  \0", 8);
  return add(fields, data);
}

Tar& Tar::raw(const std::string& bytes) {
  bytes_ += bytes;
  return *this;
}

Place::Place() {
  const char* temp = getenv("TMPDIR");
  base_ = std::string(temp != nullptr ? temp : "/tmp") + "/dinghy-layer-XXXXXX";
  if (mkdtemp(base_.data()) == nullptr) abort();
  const sys::Fd canary(open(outside("canary").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  if (mkdir(path("").c_str(), 0700) != 0 || !canary || write(canary.get(), "alive", 5) != 5) abort();
  if (stat(outside("canary").c_str(), &canary_) != 0 || stat(base_.c_str(), &outside_) != 0) abort();
  request.layer_dir = base_ + "/root";
}

// Deeper than PATH_MAX in some tests.
Place::~Place() {
  if (!sys::remove_tree(base_)) abort();
}

bool Place::unpack(const std::string& blob) {
  const sys::Fd input(memfd_create("blob", MFD_CLOEXEC));
  if (!input || write(input.get(), blob.data(), blob.size()) != static_cast<ssize_t>(blob.size())) abort();
  lseek(input.get(), 0, SEEK_SET);
  request.input = input.get();
  result.reset();
  failure.reset();
  auto outcome = layer::unpack(request, nullptr);
  if (!outcome) {
    failure = outcome.take_failure();
    return false;
  }
  result = std::move(*outcome);
  return true;
}

std::optional<std::string> Place::content(const std::string& name) const { return slurp(path(name)); }

std::optional<std::string> Place::link(const std::string& name) const {
  std::string target(8192, '\0');
  const ssize_t size = readlink(path(name).c_str(), target.data(), target.size());
  if (size < 0) return std::nullopt;
  return target.substr(0, static_cast<size_t>(size));
}

std::optional<struct stat> Place::status(const std::string& name) const {
  struct stat status = {};
  if (lstat(path(name).c_str(), &status) != 0) return std::nullopt;
  return status;
}

std::optional<std::string> Place::xattr(const std::string& name, const std::string& attribute) const {
  std::string value(65536, '\0');
  const ssize_t size = lgetxattr(path(name).c_str(), attribute.c_str(), value.data(), value.size());
  if (size < 0) return std::nullopt;
  return value.substr(0, static_cast<size_t>(size));
}

bool Place::is_folder(const std::string& name) const {
  const auto found = status(name);
  return found && S_ISDIR(found->st_mode);
}

bool Place::is_whiteout(const std::string& name) const {
  const auto found = status(name);
  if (found && S_ISREG(found->st_mode)) return xattr(name, "trusted.overlay.whiteout").has_value();
  return found && S_ISCHR(found->st_mode) && found->st_rdev == makedev(0, 0);
}

bool Place::is_opaque(const std::string& name) const { return xattr(name, "trusted.overlay.opaque") == "y"; }

std::vector<std::string> Place::names() const {
  g_names.clear();
  const std::string root = base_ + "/root";
  g_root_size = root.size();
  nftw(root.c_str(), note_name, 16, FTW_PHYS);
  std::sort(g_names.begin(), g_names.end());
  return std::exchange(g_names, {});
}

bool Place::untouched() const {
  struct stat now = {};
  struct stat folder = {};
  if (lstat(outside("canary").c_str(), &now) != 0 || lstat(base_.c_str(), &folder) != 0) return false;
  const auto same_time = [](const timespec& a, const timespec& b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
  };
  return slurp(outside("canary")) == "alive" && now.st_nlink == canary_.st_nlink && now.st_mode == canary_.st_mode &&
         now.st_uid == canary_.st_uid && same_time(now.st_mtim, canary_.st_mtim) &&
         same_time(now.st_ctim, canary_.st_ctim) && same_time(folder.st_mtim, outside_.st_mtim) &&
         folder.st_mode == outside_.st_mode;
}

std::vector<std::string> Place::mend(const std::vector<std::string>& below) {
  layer::MendRequest request;
  request.layers = {path("")};
  request.layers.insert(request.layers.end(), below.begin(), below.end());
  request.out_dir = outside("fix");
  request.implicit = result->implicit;
  request.whiteouts = result->whiteouts;
  request.lower_links = result->lower_links;
  failure.reset();
  if (mkdir(request.out_dir.c_str(), 0755) != 0) abort();
  auto made = layer::mend(request);
  if (!made) failure = made.take_failure();
  if (failure || *made == 0) return request.layers;
  request.layers.insert(request.layers.begin(), request.out_dir);
  return request.layers;
}

Chain& Chain::add(const Tar& tar) {
  layers_.push_back(std::make_unique<Place>());
  REQUIRE(layers_.back()->unpack(tar));
  folders = layers_.back()->mend(folders);
  return *this;
}

int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

bool own_mounts(const char* tmpfs_options) {
  return unshare(CLONE_NEWNS) == 0 && mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("tmpfs", "/mnt", "tmpfs", 0, tmpfs_options) == 0;
}

bool in_overlay(const std::vector<std::string>& layers, const std::function<bool(const std::string&)>& holds) {
  const int answer = in_child([&] {
    if (!own_mounts() || mkdir("/mnt/merged", 0755) != 0 || mkdir("/mnt/upper", 0755) != 0 ||
        mkdir("/mnt/work", 0755) != 0)
      return 3;
    std::string options = "upperdir=/mnt/upper,workdir=/mnt/work,metacopy=off,redirect_dir=off,index=off,lowerdir=";
    for (const std::string& layer : layers) options += (layer == layers.front() ? "" : ":") + layer;
    if (mount("overlay", "/mnt/merged", "overlay", 0, options.c_str()) != 0) return 4;
    return holds("/mnt/merged/") ? 0 : 1;
  });
  CHECK(answer < 2);
  return answer == 0;
}

std::string upper_after(const std::vector<std::string>& lower, const std::function<void(const std::string&)>& work,
                        const std::function<std::string(const std::string&)>& read) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) abort();
  // Not waited for before its answer is read: that may be more than a pipe holds.
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    if (!own_mounts() || mkdir("/mnt/merged", 0755) != 0 || mkdir("/mnt/upper", 0755) != 0 ||
        mkdir("/mnt/work", 0755) != 0)
      _exit(3);
    std::string options = "upperdir=/mnt/upper,workdir=/mnt/work,metacopy=off,redirect_dir=off,index=off,lowerdir=";
    for (const std::string& layer : lower) options += (layer == lower.front() ? "" : ":") + layer;
    if (mount("overlay", "/mnt/merged", "overlay", 0, options.c_str()) != 0) _exit(4);
    work("/mnt/merged/");
    _exit(sys::write_all(ends[1], read("/mnt/upper")) ? 0 : 5);
  }
  close(ends[1]);
  auto text = sys::read_all(ends[0], size_t{64} << 20U);
  close(ends[0]);
  int status = 0;
  CHECK((child > 0 && waitpid(child, &status, 0) == child));
  CHECK(status == 0);
  return text ? *text : "no answer";
}

void must(int result) {
  if (result != 0) abort();
}

void write_file(const std::string& path, const std::string& text, int flags) {
  const sys::Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC | flags, 0644));
  if (!fd || !sys::write_all(fd.get(), text)) abort();
}

std::string layer_of(const std::string& upper, const std::vector<std::string>& lower) {
  const sys::Fd fd(open(upper.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const sys::Fd out(memfd_create("tar", MFD_CLOEXEC));
  auto stack = layer::Stack::open(lower);
  layer::Output output(out.get());
  if (!fd || !out || !stack || !output.start()) abort();
  const layer::LayerForm form(*stack);
  layer::PackOptions options;
  options.layer = &form;
  auto report = layer::pack(fd.get(), output, options);
  if (!report) return "!" + report.failure().path + ": " + report.failure().message;
  if (!output.finish()) abort();
  std::string bytes(output.size(), '\0');
  if (pread(out.get(), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) abort();
  return (report->entries == 1 && report->same_root ? "=" : "+") + bytes;
}

}  // namespace layer_test
