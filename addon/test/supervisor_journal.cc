// The journal of events: many writers, killed ones, and its rotation.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "supervisor/journal.h"
#include "sys/fd.h"
#include "sys/json.h"

namespace {

class StateFolder {
 public:
  StateFolder() {
    char name[] = "/tmp/dinghy-journal-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~StateFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string events() const { return path_ + "/events"; }
  [[nodiscard]] std::string file() const { return path_ + "/events/journal"; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

template <class Work>
pid_t in_child(Work work) {
  const pid_t pid = fork();
  if (pid == 0) {
    work();
    _exit(0);
  }
  return pid;
}

}  // namespace

TEST_CASE("eight processes write five hundred events each, and every one is in the journal, whole") {
  const StateFolder state;
  std::vector<pid_t> children;
  for (int writer = 0; writer < 8; writer++) {
    children.push_back(in_child([&state, writer] {
      for (int i = 0; i < 500; i++) {
        supervisor::append_to_journal(state.events(), "{\"writer\":" + std::to_string(writer) +
                                                          ",\"number\":" + std::to_string(i) + ",\"pad\":\"" +
                                                          std::string(100, 'x') + "\"}");
      }
    }));
  }
  for (const pid_t child : children) waitpid(child, nullptr, 0);
  std::map<int64_t, int64_t> next;
  size_t count = 0;
  for (const std::string& line : lines_of(state.file())) {
    rapidjson::Document document;
    REQUIRE(sys::parse_json(document, line).ok());
    sys::JsonReader reader("line");
    const int64_t writer = reader.integer(&document, "writer", 0, 7).value_or(-1);
    CHECK(reader.integer(&document, "number", 0, 499).value_or(-1) == next[writer]++);
    count++;
  }
  CHECK(count == 4000);
}

TEST_CASE("a line that a killed writer left torn takes no other with it") {
  const StateFolder state;
  supervisor::append_to_journal(state.events(), "{\"first\":true}");
  {
    std::ofstream file(state.file(), std::ios::app);
    file << "\n{\"torn\":tr";
  }
  supervisor::append_to_journal(state.events(), "{\"second\":true}");
  CHECK(lines_of(state.file()) == std::vector<std::string>{"{\"first\":true}", "{\"torn\":tr", "{\"second\":true}"});
}

TEST_CASE("the journal is rotated once it is large, by one of those who find it so, and no event is lost") {
  const StateFolder state;
  // 1.5 MiB: one rotation, whoever comes first.
  std::vector<pid_t> children;
  for (int writer = 0; writer < 4; writer++) {
    children.push_back(in_child([&state] {
      for (int i = 0; i < 380; i++) supervisor::append_to_journal(state.events(), std::string(1000, 'x'));
    }));
  }
  for (const pid_t child : children) waitpid(child, nullptr, 0);
  const size_t old_lines = lines_of(state.file() + ".1").size();
  CHECK(old_lines + lines_of(state.file()).size() == 4 * 380);
  CHECK(old_lines > 1000);
}

TEST_CASE("a writer that was stopped while it rotated holds nobody up") {
  const StateFolder state;
  supervisor::append_to_journal(state.events(), std::string((1 << 20) - 10, 'x'));
  const sys::Fd stopped(open(state.file().c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(flock(stopped.get(), LOCK_EX) == 0);
  supervisor::append_to_journal(state.events(), "{\"number\":1}");
  CHECK(lines_of(state.file()).size() == 2);
}

TEST_CASE("nothing of a journal that cannot be written is told, and its container goes on") {
  const StateFolder state;
  std::filesystem::create_directory(state.events());
  SUBCASE("a full file system") {
    if (mount("journal", state.events().c_str(), "tmpfs", 0, "size=4k,nr_inodes=4") != 0) return;
    for (int i = 0; i < 100; i++) supervisor::append_to_journal(state.events(), std::string(100, 'x'));
    struct stat info {};
    CHECK(stat(state.file().c_str(), &info) == 0);
    CHECK(info.st_size <= 4096);
    CHECK(umount2(state.events().c_str(), MNT_DETACH) == 0);
  }
  SUBCASE("a link in its place, which is not followed") {
    std::filesystem::create_symlink(state.path() + "/victim", state.file());
    supervisor::append_to_journal(state.events(), "{}");
    CHECK_FALSE(std::filesystem::exists(state.path() + "/victim"));
  }
  SUBCASE("a run-time folder that is gone is not made again") {
    std::filesystem::remove_all(state.path());
    supervisor::append_to_journal(state.events(), "{}");
    CHECK_FALSE(std::filesystem::exists(state.path()));
  }
}

TEST_CASE("an event says which container: its image, name and labels, and what the event brings before them") {
  const StateFolder state;
  const std::string bundle = state.path() + "/bundle";
  std::filesystem::create_directory(bundle);
  std::ofstream(bundle + "/container.json")
      << R"({"name":"web","image":"nginx","labels":{"app":"shop","name":"of the label","n":5}})";
  supervisor::Journal journal(state.path() + "/0123456789ab/ctl", bundle, "0123456789abcdef");
  journal.note("die", {{"exitCode", "7"}});
  const auto lines = lines_of(state.file());
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find(R"("type":"container","action":"die","id":"0123456789abcdef")") != std::string::npos);
  // Of two members of one name the later one counts for every reader of JSON.
  CHECK(lines[0].find(R"({"app":"shop","name":"of the label","image":"nginx","name":"web","exitCode":"7"})") !=
        std::string::npos);

  SUBCASE("also when the record has gone since") {
    std::filesystem::remove_all(bundle);
    journal.note("destroy");
    CHECK(lines_of(state.file())[1].find(R"("name":"web")") != std::string::npos);
  }
  SUBCASE("and after a rename its new name") {
    std::ofstream(bundle + "/container.json") << R"({"name":"shop","image":"nginx","labels":{}})";
    journal.load();
    journal.note("rename");
    CHECK(lines_of(state.file())[1].find(R"("name":"shop")") != std::string::npos);
  }
  SUBCASE("labels without measure are left out") {
    std::ofstream(bundle + "/container.json")
        << R"({"name":"web","image":"nginx","labels":{"big":")" << std::string(20000, 'x') << "\"}}";
    journal.load();
    journal.note("start");
    CHECK(lines_of(state.file())[1].size() < 300);
  }
}
