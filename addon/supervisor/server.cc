#include "supervisor/server.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "supervisor/handshake.h"
#include "supervisor/json_text.h"
#include "sys/unix_socket.h"

namespace supervisor {
namespace {

constexpr int kBacklog = 128;
constexpr size_t kMaxClients = 1024;
constexpr int64_t kLogEventDelayMs = 10;
constexpr int64_t kGraceMs = 1000;  // for a container whose last holder has gone

// What means the same in every version of the protocol: a container that outlives an upgrade of the library can still
// be watched, ended and removed.
bool is_lasting(const std::string& op) {
  const auto lasting = {"state", "subscribe", "signal", "stop", "remove", "release"};
  return std::find(lasting.begin(), lasting.end(), op) != lasting.end();
}

}  // namespace

Server::~Server() {
  if (listener_) loop_.forget(listener_.get());
}

sys::Result<void> Server::listen(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash != std::string::npos) mkdir(path.substr(0, slash).c_str(), 0700);
  // What lies there is a dead supervisor's: we hold the container's lock.
  unlink(path.c_str());
  auto listener = sys::listen_unix(path, kBacklog);
  if (!listener) return listener.take_failure();
  listener_ = std::move(*listener);
  socket_path_ = path;
  return loop_.watch(listener_.get(), EPOLLIN, [this](uint32_t) { on_connect(); });
}

sys::Result<void> Server::adopt(sys::Fd socket, FrameReader reader, bool hold) {
  auto client = std::make_shared<Connection>(loop_, std::move(socket));
  client->hold = hold;
  return add(client, std::move(reader));
}

void Server::on_connect() {
  sys::Fd socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket || clients_.size() >= kMaxClients) return;
  // The folder keeps others out already; a descriptor of it may have leaked (CVE-2020-15257).
  auto peer = sys::peer_of(socket.get());
  if (!peer || (peer->uid != geteuid() && peer->uid != 0)) return;
  (void)add(std::make_shared<Connection>(loop_, std::move(socket)), {}).ok();
}

sys::Result<void> Server::add(const Client& client, FrameReader reader) {
  clients_.push_back(client);
  Connection::Callbacks callbacks;
  callbacks.frame = [this](Connection& connection, const Frame& frame) { on_frame(connection, frame); };
  callbacks.closed = [this](Connection& connection) { on_closed(connection); };
  return client->start(std::move(callbacks), std::move(reader));
}

void Server::on_frame(Connection& connection, const Frame& frame) {
  switch (static_cast<FrameType>(frame.type)) {
    case FrameType::kClientHello: {
      rapidjson::Document document;
      sys::JsonReader reader("hello");
      if (!sys::parse_json(document, frame.payload)) break;
      connection.hold = connection.hold || reader.flag(&document, "hold");
      connection.version = reader.integer(&document, "version", 0, 1 << 30).value_or(0);
      JsonText json;
      connection.send(FrameType::kServerHello, json.put("version", protocol_version()).text());
      return;
    }
    case FrameType::kRequest: {
      auto request = parse_request(frame.payload);
      if (!request) break;
      on_request(connection, *request);
      return;
    }
    case FrameType::kStdin:
      on_stdin(connection, frame.payload);
      return;
    case FrameType::kStdinEnd:
      if (connection.sends_stdin) container_->stdio().end_input();
      return;
    default:
      break;
  }
  // Whoever speaks otherwise than the protocol cannot be answered.
  connection.close();
  on_closed(connection);
}

void Server::on_request(Connection& connection, const Request& request) {
  const std::string& op = request.op;
  if (connection.version != protocol_version() && !is_lasting(op)) {
    return connection.reply_error(request.id, version_error(protocol_version(), connection.version));
  }
  // Its end is still told, to whoever asks for that.
  if (removing_ && op != "remove" && op != "state" && op != "subscribe") {
    connection.reply_error(request.id, sys::error(op, "the container is being removed", EIDRM));
    return;
  }
  if (op == "start") return handle_start(connection, request.id);
  if (op == "signal") return handle_signal(connection, request);
  if (op == "stop") return handle_stop(connection, request);
  if (op == "state") return handle_state(connection, request.id);
  if (op == "subscribe") return handle_subscribe(connection, request);
  if (op == "attach") return handle_attach(connection, request);
  if (op == "resize") return handle_resize(connection, request);
  if (op == "join") return handle_join(connection, request);
  if (op == "remove") return handle_remove(connection, request);
  if (op == "rename") return handle_rename(connection, request);
  if (op == "suspend") return handle_suspend(connection, request.id);
  if (op == "resume") return handle_resume(connection, request.id);
  if (op == "freeze") return handle_freeze(connection, request);
  if (op == "update") return answer(connection, request.id, container_->update(request.document));
  if (op == "connect") return answer(connection, request.id, container_->connect(request.document));
  if (op == "disconnect") return answer(connection, request.id, container_->disconnect(request.document));
  if (op == "network") return handle_network(connection, request.id);
  if (op == "pause") return answer(connection, request.id, container_->pause());
  if (op == "unpause") return answer(connection, request.id, container_->unpause());
  if (op == "release") return handle_release(connection, request);
  connection.reply_error(request.id, sys::error("request", "this supervisor does not know " + op, ENOSYS));
}

void Server::answer(Connection& connection, int64_t id, const sys::Result<void>& result) {
  if (result) {
    connection.reply(id);
  } else {
    connection.reply_error(id, result.failure());
  }
}

Container::Done Server::answer_later(Connection& connection, int64_t id) {
  return [client = connection.weak_from_this(), id](const sys::Error* failure) {
    const Client strong = client.lock();
    if (!strong) return;
    if (failure != nullptr) {
      strong->reply_error(id, *failure);
    } else {
      strong->reply(id);
    }
  };
}

bool Server::being_written() const {
  return std::any_of(clients_.begin(), clients_.end(), [](const Client& c) { return c->open() && c->writes; });
}

void Server::run_waiting() {
  if (container_ == nullptr || being_written()) return;
  while (!waiting_.empty() && !being_written()) {
    const auto next = std::move(waiting_.front());
    waiting_.pop_front();
    next();
  }
  if (!being_written()) container_->hold_restarts(false);
}

void Server::handle_start(Connection& connection, int64_t id) {
  if (being_written()) {
    waiting_.push_back([this, client = connection.weak_from_this(), id] {
      if (const Client strong = client.lock()) handle_start(*strong, id);
    });
    return;
  }
  container_->start([this, client = connection.weak_from_this(), id](const sys::Error* failure) {
    const Client strong = client.lock();
    if (!strong) return;
    if (failure != nullptr) return strong->reply_error(id, *failure);
    JsonText json;
    strong->reply(id,
                  json.put("pid", container_->state().pid).put_raw("state", state_json(container_->state())).text());
  });
}

void Server::handle_state(Connection& connection, int64_t id) {
  JsonText json;
  connection.reply(id, json.put_raw("state", state_json(container_->state())).text());
}

void Server::handle_signal(Connection& connection, const Request& request) {
  sys::JsonReader reader("signal");
  const auto number = reader.integer(&request.document, "signal", 1, 64);
  auto valid = reader.done();
  if (valid && !number) valid = sys::error("signal", "the signal is missing", EINVAL);
  answer(connection, request.id, valid ? container_->send_signal(static_cast<int>(*number)) : valid);
}

void Server::handle_stop(Connection& connection, const Request& request) {
  sys::JsonReader reader("stop");
  const Config& config = container_->config();
  const int64_t number = reader.integer(&request.document, "signal", 1, 64).value_or(config.stop_signal);
  const int64_t timeout_ms =
      reader.integer(&request.document, "timeoutMs", -1, INT64_MAX).value_or(config.stop_timeout_ms);
  const auto valid = reader.done();
  if (!valid) return connection.reply_error(request.id, valid.failure());
  container_->stop(static_cast<int>(number), timeout_ms, Container::By::kUser, answer_later(connection, request.id));
}

void Server::handle_resize(Connection& connection, const Request& request) {
  auto size = parse_terminal_size(request);
  auto result = size ? container_->resize(size->columns, size->rows) : sys::Result<void>(size.take_failure());
  answer(connection, request.id, result);
}

// The answer has the state of the moment from which on events are sent, so nothing falls in between.
void Server::handle_subscribe(Connection& connection, const Request& request) {
  sys::JsonReader reader("subscribe");
  connection.wants_state = true;
  connection.wants_log = connection.wants_log || reader.flag(&request.document, "log");
  JsonText json;
  json.put_raw("state", state_json(container_->state())).put("logSize", container_->log_size());
  connection.reply(request.id, json.put("removing", removing_).text());
}

void Server::handle_attach(Connection& connection, const Request& request) {
  sys::JsonReader reader("attach");
  connection.sends_stdin = reader.flag(&request.document, "stdin");
  connection.reply(request.id);
  container_->journal().note("attach");
}

void Server::on_stdin(Connection& connection, std::string_view data) {
  if (!connection.sends_stdin || !container_->config().open_stdin) return;
  container_->stdio().write_input(data);
  if (container_->stdio().input_full()) connection.pause(true);
}

// Our own pidfd and cgroup folders: whoever has them cannot hit another process, whatever pids are reused. Who wants
// the files of a container that does not run gets the lock alone.
void Server::handle_join(Connection& connection, const Request& request) {
  sys::JsonReader reader("join");
  if (reader.flag(&request.document, "write")) return admit_writer(connection, request.id);
  if (!container_->running() && !reader.flag(&request.document, "stopped")) {
    return connection.reply_error(request.id, sys::error("join", "the container is not running", ESRCH));
  }
  answer_join(connection, request.id);
}

void Server::admit_writer(Connection& connection, int64_t id) {
  if (!container_->running()) {
    // Halfway through its start: whoever asks again finds it running, or ended.
    if (!container_->resting())
      return connection.reply_error(id, sys::error("join", "the container is just being started", ESRCH));
    if (being_written()) {
      waiting_.push_back([this, client = connection.weak_from_this(), id] {
        if (const Client strong = client.lock()) admit_writer(*strong, id);
      });
      return;
    }
    container_->hold_restarts(true);
  }
  connection.writes = true;
  answer_join(connection, id);
}

void Server::answer_join(Connection& connection, int64_t id) {
  const bool running = container_->running();
  const Config& config = container_->config();
  std::vector<int> fds;
  if (running) fds.push_back(container_->init().pidfd.get());
  fds.push_back(kLockFd);
  for (const int folder : container_->cgroup().folder_fds()) fds.push_back(folder);
  JsonText json;
  json.put("pid", container_->state().pid)
      .put("container", config.id)
      .put("bundle", config.bundle)
      .put("rootless", config.spec.rootless);
  const bool paused = container_->state().status == Status::kPaused;
  json.put("seccompFilter", config.seccomp_filter).put("status", !running ? "stopped" : paused ? "paused" : "running");
  connection.reply(id, json.text(), fds);
}

void Server::handle_network(Connection& connection, int64_t id) {
  auto network = container_->lend_network();
  if (!network) return connection.reply_error(id, network.failure());
  JsonText json;
  connection.reply(id, json.put("address", container_->state().address).text(), {*network});
}

// For a writer, which is about to need the files of one moment: what does not run is not started before it is done.
void Server::handle_suspend(Connection& connection, int64_t id) {
  if (!connection.writes || connection.suspended)
    return connection.reply_error(id, sys::error("suspend", "only a writer can, and once", EINVAL));
  container_->hold_restarts(true);
  const bool running = container_->running();
  if (running) {
    auto run = container_->suspend();
    if (!run) return connection.reply_error(id, run.failure());
    connection.suspended = *run;
  } else if (!container_->resting()) {
    return connection.reply_error(id, sys::error("join", "the container is just being started", ESRCH));
  }
  JsonText json;
  connection.reply(id, json.put("running", running).text());
}

// The writer has what it wanted.
void Server::handle_resume(Connection& connection, int64_t id) {
  const auto resumed = end_suspension(connection);
  connection.writes = false;
  answer(connection, id, resumed);
  run_waiting();
}

sys::Result<void> Server::end_suspension(Connection& connection) {
  if (!connection.suspended) return {};
  return container_->resume(*std::exchange(connection.suspended, std::nullopt));
}

void Server::handle_remove(Connection& connection, const Request& request) {
  sys::JsonReader reader("remove");
  const bool force = reader.flag(&request.document, "force");
  if (container_->active() && !force && !removing_) {
    return connection.reply_error(request.id, sys::error("remove", "the container is running", EBUSY));
  }
  remove_for(connection, request.id);
}

// The connection no longer holds the container. With `end` it is removed if nobody else does, by force and at once, and
// answered then.
void Server::handle_release(Connection& connection, const Request& request) {
  sys::JsonReader reader("release");
  const bool end = reader.flag(&request.document, "end");
  connection.hold = false;
  const bool stays = container_->config().detached || held();
  if (end && !stays) return remove_for(connection, request.id);
  JsonText json;
  connection.reply(request.id, json.put("held", stays).text());
  consider();
}

bool Server::held() const {
  return std::any_of(clients_.begin(), clients_.end(), [](const Client& c) { return c->open() && c->hold; });
}

void Server::remove_for(Connection& connection, int64_t id) {
  removal_requests_.emplace_back(connection.weak_from_this(), id);
  removing_ = true;
  if (container_->active()) {
    container_->end_now();
  } else {
    remove_and_exit();
  }
}

void Server::handle_rename(Connection& connection, const Request& request) {
  sys::JsonReader reader("rename");
  const std::string draft = reader.text(&request.document, "draft");
  const std::string from = reader.text(&request.document, "from");
  const std::string to = reader.text(&request.document, "to");
  const std::string old_name = reader.text(&request.document, "oldName");
  const auto valid = reader.done();
  answer(connection, request.id, valid ? container_->rename(draft, from, to, old_name) : valid);
}

void Server::handle_freeze(Connection& connection, const Request& request) {
  auto wanted = parse_freeze(request.document);
  if (!wanted) return connection.reply_error(request.id, wanted.failure());
  freeze_for(connection, request.id, *wanted);
}

void Server::freeze_for(Connection& connection, int64_t id, const FreezeRequest& request) {
  if (being_written() && container_->resting()) {
    waiting_.push_back([this, client = connection.weak_from_this(), id, request] {
      if (const Client strong = client.lock()) freeze_for(*strong, id, request);
    });
    return;
  }
  auto frozen = container_->freeze(request);
  if (!frozen) return connection.reply_error(id, frozen.failure());
  std::vector<std::string> layers;
  for (const Freezing& each : *frozen) layers.push_back(each.to);
  JsonText json;
  connection.reply(id, json.put_raw("layers", json_array(layers)).text());
}

void Server::state_changed() {
  if (container_ == nullptr) return;
  const std::vector<Client> clients = clients_;
  std::string payload;
  for (const Client& client : clients) {
    if (!client->wants_state) continue;
    if (payload.empty()) {
      JsonText json;
      payload = json.put("event", "state").put_members(state_json(container_->state())).text();
    }
    client->send(FrameType::kEvent, payload);
  }
}

void Server::send_log_event(Connection& connection) {
  JsonText json;
  connection.send(FrameType::kEvent, json.put("event", "log").put("size", container_->log_size()).text());
}

// At most one `log` event is unread: the log may grow a thousand times while a client sleeps.
void Server::log_grown() {
  if (log_timer_ != 0) return;
  const std::vector<Client> clients = clients_;
  for (const Client& client : clients) {
    if (!client->wants_log || !client->open()) continue;
    if (client->idle()) {
      send_log_event(*client);
    } else {
      behind_.push_back(client);
    }
  }
  if (behind_.empty()) return;
  log_timer_ = loop_.after(kLogEventDelayMs, [this] {
    log_timer_ = 0;
    behind_.clear();
    log_grown();
  });
}

void Server::input_room() {
  const std::vector<Client> clients = clients_;
  for (const Client& client : clients) client->pause(false);
}

void Server::on_closed(Connection& connection) {
  connection.hold = false;
  (void)end_suspension(connection).ok();
  // Not now: somewhere up the stack it may still be in use.
  loop_.after(0, [this] {
    std::erase_if(clients_, [](const Client& client) { return !client->open(); });
    run_waiting();
    consider();
  });
}

void Server::settled() {
  if (removing_) return remove_and_exit();
  if (shutting_down_) return exit();
  consider();
}

void Server::shut_down() {
  if (removing_ || shutting_down_) return;
  shutting_down_ = true;
  if (!container_->active()) return exit();
  const Config& config = container_->config();
  container_->stop(config.stop_signal, config.stop_timeout_ms, Container::By::kHost, [](const sys::Error*) {});
}

void Server::consider() {
  if (removing_ || shutting_down_ || container_ == nullptr) return;
  const Config& config = container_->config();
  if (!config.detached && !held()) return end_container();
  if (container_->active()) return;
  if (config.auto_remove && container_->state().status == Status::kStopped) {
    removing_ = true;
    return remove_and_exit();
  }
  // Nobody is told anything any more, and the next start makes another supervisor.
  if (config.detached && clients_.empty()) exit();
}

// The last holder has gone, perhaps without having had the time to close: the container goes with it.
void Server::end_container() {
  removing_ = true;
  if (!container_->active()) return remove_and_exit();
  container_->stop(container_->config().stop_signal, kGraceMs, Container::By::kHost, [](const sys::Error*) {});
}

void Server::remove_and_exit() {
  const auto removed = container_->remove();
  for (const auto& [weak, id] : removal_requests_) {
    if (const Client client = weak.lock()) answer(*client, id, removed);
  }
  exit();
}

void Server::exit() {
  container_->let_go();
  // First the name, then the listener: a client sees ENOENT or ECONNREFUSED, never a socket that nobody will serve.
  unlink(socket_path_.c_str());
  loop_.stop(0);
}

}  // namespace supervisor
