#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "jail/cgroup.h"
#include "jail/jail.h"
#include "supervisor/connection.h"
#include "supervisor/handshake.h"
#include "supervisor/host.h"
#include "supervisor/join_target.h"
#include "supervisor/journal.h"
#include "supervisor/json_text.h"
#include "supervisor/modes.h"
#include "supervisor/process.h"
#include "supervisor/terminal_relay.h"
#include "sys/kernel.h"
#include "sys/small_file.h"

namespace supervisor {
namespace {

constexpr size_t kMaxCounterFile = 65536;

// How many processes the kernel has killed in the container for want of memory.
uint64_t oom_kills(const std::vector<sys::Fd>& folders) {
  for (const sys::Fd& folder : folders) {
    for (const char* name : {"memory.events", "memory.oom_control"}) {
      auto text = sys::read_file(folder.get(), name, kMaxCounterFile);
      if (!text) continue;
      const size_t at = text->find("oom_kill ");
      if (at != std::string::npos) return std::strtoull(text->c_str() + at + 9, nullptr, 10);
    }
  }
  return 0;
}

struct ExecRequest {
  int64_t id = 0;
  std::string socket;
  jail::Process process;
};

sys::Result<ExecRequest> parse_exec(const Request& request) {
  if (request.op != "exec") return sys::error("exec", "the first request must be exec", EPROTO);
  sys::JsonReader reader("exec");
  ExecRequest exec;
  exec.id = request.id;
  exec.socket = reader.text(&request.document, "socket");
  const sys::Json* object = reader.object(&request.document, "process");
  if (object == nullptr) return sys::error("exec", "the property process is missing", EINVAL);
  rapidjson::StringBuffer text;
  rapidjson::Writer<rapidjson::StringBuffer> writer(text);
  object->Accept(writer);
  auto process = jail::parse_process(std::string_view(text.GetString(), text.GetSize()));
  if (!process) return process.take_failure();
  exec.process = std::move(*process);
  const std::string user = reader.text(&request.document, "user");
  if (!user.empty()) exec.process.user = user;
  exec.process.group_add = reader.texts(&request.document, "groupAdd");
  exec.process.default_home = reader.flag(&request.document, "defaultHome", true);
  SYS_TRY(reader.done());
  return exec;
}

constexpr size_t kMaxShownCommand = 1024;

// The process's command in one line, as Docker's events show it.
std::string shown_command(const std::vector<std::string>& args) {
  std::string text;
  for (const std::string& arg : args) {
    if (!text.empty()) text += ' ';
    text += arg;
    if (text.size() > kMaxShownCommand) break;
  }
  // Not within a character: the journal is UTF-8.
  size_t size = std::min(text.size(), kMaxShownCommand);
  while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) size--;
  return text.substr(0, size);
}

// 64 hexadecimal digits nobody else has.
std::string random_id() {
  std::array<unsigned char, 32> bytes{};
  (void)getrandom(bytes.data(), bytes.size(), 0);
  std::string text;
  for (const unsigned char byte : bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

constexpr int kEndingMs = 200;

// The kernel has many words for a container that is just ending: no memory for a pid in its namespace, a cgroup that is
// gone, a process killed before it could say why. Its first process tells, at the latest when the others have gone.
sys::Error unless_ending(const sys::Fd& pidfd, const sys::Error& failure) {
  if (failure.exit_code != 0) return failure;
  const bool suspect = failure.err == ENOMEM || failure.err == ECHILD || failure.err == ESRCH ||
                       failure.err == ENODEV || failure.err == ENOENT;
  pollfd init{pidfd.get(), POLLIN, 0};
  if (poll(&init, 1, suspect ? kEndingMs : 0) <= 0) return failure;
  return sys::error("join", "the container has just ended", ESRCH);
}

// One process in a running container, and the client that asked for it.
class Exec {
 public:
  Exec(Loop& loop, JoinTarget target, Journal journal)
      : loop_(loop), target_(std::move(target)), journal_(std::move(journal)) {}

  sys::Result<void> begin(const ExecRequest& request);
  sys::Result<void> adopt(sys::Fd control, FrameReader reader);
  void kill();
  [[nodiscard]] bool is_child(pid_t pid) const { return pid == init_.pid; }

 private:
  void on_sync();
  sys::Result<void> advance();
  void fail(const sys::Error& failure);
  void on_frame(Connection& connection, const Frame& frame);
  void on_request(Connection& connection, const Request& request);
  void on_exit();
  void announce();
  void leave();
  void note_start();

  Loop& loop_;
  JoinTarget target_;
  Journal journal_;
  std::string command_;
  std::string exec_id_;
  int64_t id_ = 0;
  bool terminal_ = false;
  bool started_ = false;
  bool killed_ = false;
  bool released_ = false;  // it goes on without its client
  uint64_t oom_before_ = 0;
  jail::Cgroup cgroup_;
  jail::Init init_;
  jail::Point next_point_ = jail::Point::kRootfs;
  siginfo_t exit_{};
  std::shared_ptr<Connection> client_;
  std::unique_ptr<TerminalRelay> relay_;
};

sys::Result<void> Exec::begin(const ExecRequest& request) {
  id_ = request.id;
  terminal_ = request.process.terminal;
  command_ = shown_command(request.process.args);
  oom_before_ = oom_kills(target_.cgroup_folders);
  std::vector<int> folders;
  folders.reserve(target_.cgroup_folders.size());
  for (const sys::Fd& folder : target_.cgroup_folders) folders.push_back(folder.get());
  auto cgroup = jail::Cgroup::create_exec(folders, "exec-" + std::to_string(own_host_pid()));
  if (!cgroup) return unless_ending(target_.target.pidfd, cgroup.failure());
  cgroup_ = std::move(*cgroup);
  const jail::Stdio stdio = terminal_ ? jail::Stdio{} : jail::Stdio{0, 1, 2};
  auto init = jail::join(target_.target, request.process, stdio, cgroup_);
  if (!init) {
    leave();
    return unless_ending(target_.target.pidfd, init.failure());
  }
  init_ = std::move(*init);
  return loop_.watch(init_.sync.get(), EPOLLIN, [this](uint32_t) { on_sync(); });
}

sys::Result<void> Exec::adopt(sys::Fd control, FrameReader reader) {
  client_ = std::make_shared<Connection>(loop_, std::move(control));
  Connection::Callbacks callbacks;
  callbacks.frame = [this](Connection& connection, const Frame& frame) { on_frame(connection, frame); };
  // Nobody is left who could want its output or its status, unless that was said before.
  callbacks.closed = [this](Connection&) {
    if (!released_) kill();
  };
  return client_->start(std::move(callbacks), std::move(reader));
}

void Exec::on_sync() {
  const auto advanced = advance();
  if (!advanced) fail(advanced.failure());
}

sys::Result<void> Exec::advance() {
  SYS_TRY(jail::wait(init_, next_point_));
  if (next_point_ == jail::Point::kRootfs) {
    next_point_ = jail::Point::kExec;
    if (terminal_) {
      relay_ = std::make_unique<TerminalRelay>(loop_, 0, 1, [this] { client_->pause(false); });
      SYS_TRY(relay_->start(std::move(init_.master)));
    }
    return jail::release(init_, jail::Point::kRootfs);
  }
  loop_.forget(init_.sync.get());
  init_.sync.reset();
  SYS_TRY(loop_.watch(init_.pidfd.get(), EPOLLIN, [this](uint32_t) { on_exit(); }));
  started_ = true;
  // Whoever reads the pipes must see their end when the process and its children have gone, not when we do.
  const int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (const int fd : {0, 1, 2}) {
    if (fd == 2 || !terminal_) dup2(null_fd, fd);
  }
  close(null_fd);
  JsonText json;
  client_->reply(id_, json.put("pid", host_pid(init_.pidfd.get())).text());
  note_start();
  return {};
}

// After the reply: both at once, since only now there is something to tell.
void Exec::note_start() {
  exec_id_ = random_id();
  journal_.note(("exec_create: " + command_).c_str(), {{"execID", exec_id_}});
  journal_.note(("exec_start: " + command_).c_str(), {{"execID", exec_id_}});
}

void Exec::fail(const sys::Error& failure) {
  if (init_.sync) loop_.forget(init_.sync.get());
  if (init_.pidfd) {
    loop_.forget(init_.pidfd.get());
    sys::pidfd_send_signal(init_.pidfd.get(), SIGKILL);
    waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(init_.pidfd.get()), &exit_, WEXITED | __WALL);
  }
  leave();
  client_->reply_error(id_, unless_ending(target_.target.pidfd, failure));
  loop_.stop(1);
}

void Exec::on_frame(Connection& connection, const Frame& frame) {
  switch (static_cast<FrameType>(frame.type)) {
    case FrameType::kRequest: {
      auto request = parse_request(frame.payload);
      if (request) return on_request(connection, *request);
      break;
    }
    case FrameType::kStdin:
      if (relay_) {
        relay_->write_input(frame.payload);
        if (relay_->input_full()) connection.pause(true);
      }
      return;
    case FrameType::kStdinEnd:
      return;
    default:
      break;
  }
  connection.close();
  kill();
}

void Exec::on_request(Connection& connection, const Request& request) {
  sys::JsonReader reader(request.op);
  sys::Result<void> result;
  if (request.op == "signal") {
    const auto number = reader.integer(&request.document, "signal", 1, 64).value_or(0);
    result = reader.done();
    if (result && number == SIGKILL) {
      kill();
    } else if (result && sys::pidfd_send_signal(init_.pidfd.get(), static_cast<int>(number)) < 0) {
      result = sys::errno_error("signal");
    }
  } else if (request.op == "release") {
    released_ = true;
  } else if (request.op == "resize") {
    auto size = parse_terminal_size(request);
    if (!size) {
      result = size.take_failure();
    } else if (!relay_) {
      result = sys::error("resize", "the process has no terminal", ENOTTY);
    } else {
      result = relay_->resize(size->columns, size->rows);
    }
  } else {
    result = sys::error("request", "this process does not know " + request.op, ENOSYS);
  }
  if (result) {
    connection.reply(request.id);
  } else {
    connection.reply_error(request.id, result.failure());
  }
}

// The process, and all that it started: they are in a cgroup of their own.
void Exec::kill() {
  killed_ = true;
  if (init_.pidfd) sys::pidfd_send_signal(init_.pidfd.get(), SIGKILL);
  (void)cgroup_.kill().ok();
  if (!init_.pidfd) loop_.stop(1);
}

void Exec::on_exit() {
  while (waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(init_.pidfd.get()), &exit_, WEXITED | __WALL) < 0 &&
         errno == EINTR) {
  }
  loop_.forget(init_.pidfd.get());
  if (relay_ && client_->open()) {
    relay_->finish([this] { announce(); });
  } else {
    announce();
  }
}

void Exec::announce() {
  const bool exited = exit_.si_code == CLD_EXITED;
  const bool out_of_memory =
      !exited && exit_.si_status == SIGKILL && !killed_ && oom_kills(target_.cgroup_folders) > oom_before_;
  JsonText json;
  const int exit_code = exited ? exit_.si_status : 128 + exit_.si_status;
  json.put("event", "exited").put("exitCode", exit_code);
  json.put("signal", exited ? 0 : exit_.si_status).put("oomKilled", out_of_memory);
  if (terminal_) close(1);
  client_->send(FrameType::kEvent, json.text());
  journal_.note("exec_die", {{"execID", exec_id_}, {"exitCode", std::to_string(exit_code)}});
  leave();
  loop_.stop(0);
}

// Children that the process left running stay, as with Docker, and keep their cgroup; the container's end takes both.
void Exec::leave() {
  if (killed_ || !cgroup_.populated()) (void)cgroup_.remove().ok();
}

}  // namespace

int join_mode() {
  prepare_process(kControlFd + 1);
  fcntl(kControlFd, F_SETFD, FD_CLOEXEC);
  auto first = read_first_request(kControlFd);
  if (!first) return 1;
  const int64_t id = first->request.id;
  const auto fail = [id](const sys::Error& failure) {
    reply_error_now(kControlFd, id, failure);
    return 1;
  };
  auto request = parse_exec(first->request);
  if (!request) return fail(request.failure());
  auto target = ask_for_target(request->socket);
  if (!target) return fail(target.failure());
  request->process.seccomp_filter = target->seccomp_filter;
  auto loop = Loop::create();
  if (!loop) return fail(loop.failure());

  Journal journal(request->socket, target->bundle, target->id);
  Exec exec(*loop, std::move(*target), std::move(journal));
  auto signals = watch_signals(
      *loop, [&exec] { exec.kill(); }, [&exec](pid_t pid) { return exec.is_child(pid); });
  if (!signals) return fail(signals.failure());
  const auto begun = exec.begin(*request);
  if (!begun) return fail(begun.failure());
  const auto adopted = exec.adopt(sys::Fd(kControlFd), std::move(first->reader));
  return adopted ? loop->run() : 1;
}

}  // namespace supervisor
