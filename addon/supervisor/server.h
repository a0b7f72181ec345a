// The clients of one supervisor: what they ask, what they are told, and what the lifelines among them decide.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "supervisor/connection.h"
#include "supervisor/container.h"
#include "supervisor/loop.h"
#include "sys/fd.h"
#include "sys/result.h"

namespace supervisor {

class Server {
 public:
  explicit Server(Loop& loop) : loop_(loop) {}
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Calls of the container's observer, which exists before the container does.
  void state_changed();
  void log_grown();
  void input_room();
  void settled();

  // Listens on `path` for other processes of the same user.
  sys::Result<void> listen(const std::string& path);
  void serve(Container& container) { container_ = &container; }
  // The creator's connection; `reader` holds what it has sent already, `hold` what its hello said.
  sys::Result<void> adopt(sys::Fd socket, FrameReader reader, bool hold);
  // A request of the operating system: the container is stopped as by `stop`, the supervisor exits, the container's
  // folders stay.
  void shut_down();

 private:
  using Client = std::shared_ptr<Connection>;

  void on_connect();
  sys::Result<void> add(const Client& client, FrameReader reader);
  void on_frame(Connection& connection, const Frame& frame);
  void on_request(Connection& connection, const Request& request);
  void on_stdin(Connection& connection, std::string_view data);
  void on_closed(Connection& connection);
  Container::Done answer_later(Connection& connection, int64_t id);
  static void answer(Connection& connection, int64_t id, const sys::Result<void>& result);

  void handle_start(Connection& connection, int64_t id);
  void handle_state(Connection& connection, int64_t id);
  void handle_stop(Connection& connection, const Request& request);
  void handle_signal(Connection& connection, const Request& request);
  void handle_resize(Connection& connection, const Request& request);
  void handle_subscribe(Connection& connection, const Request& request);
  void handle_attach(Connection& connection, const Request& request);
  void handle_network(Connection& connection, int64_t id);
  void handle_join(Connection& connection, const Request& request);
  void handle_release(Connection& connection, const Request& request);
  void admit_writer(Connection& connection, int64_t id);
  void answer_join(Connection& connection, int64_t id);
  void handle_suspend(Connection& connection, int64_t id);
  void handle_resume(Connection& connection, int64_t id);
  sys::Result<void> end_suspension(Connection& connection);
  void handle_remove(Connection& connection, const Request& request);
  void handle_rename(Connection& connection, const Request& request);
  void handle_freeze(Connection& connection, const Request& request);
  void freeze_for(Connection& connection, int64_t id, const FreezeRequest& request);

  // Somebody changes the files from outside, or began to while it ran: a start, others who want to, and who makes
  // layers of them wait for him.
  [[nodiscard]] bool being_written() const;
  void run_waiting();

  void send_log_event(Connection& connection);
  [[nodiscard]] bool held() const;
  void remove_for(Connection& connection, int64_t id);
  // Decides whether this supervisor still has a reason to be.
  void consider();
  void end_container();
  void remove_and_exit();
  void exit();

  Loop& loop_;
  Container* container_ = nullptr;
  std::string socket_path_;
  sys::Fd listener_;
  std::vector<Client> clients_;
  std::vector<std::pair<std::weak_ptr<Connection>, int64_t>> removal_requests_;
  std::vector<std::weak_ptr<Connection>> behind_;  // have not read their last `log` event yet
  std::deque<std::function<void()>> waiting_;      // for the writers' end
  Loop::Timer log_timer_ = 0;
  bool removing_ = false;       // it ends now, and everything of it goes
  bool shutting_down_ = false;  // it ends now, and its folders stay
};

}  // namespace supervisor
