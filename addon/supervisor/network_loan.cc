#include "supervisor/network_loan.h"

#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "supervisor/json_text.h"
#include "sys/bytes.h"
#include "sys/json.h"
#include "sys/unix_socket.h"

namespace supervisor {
namespace {

constexpr const char* kStep = "join network";
constexpr int64_t kPatienceMs = 5000;
constexpr size_t kReadSize = 65536;

sys::Error not_running() { return sys::error(kStep, "that container does not run", ESRCH); }

sys::Result<Loan> parse_reply(std::string_view payload, sys::Fd network) {
  rapidjson::Document document;
  SYS_TRY(sys::parse_json(document, payload));
  sys::JsonReader reader(kStep);
  if (!reader.flag(&document, "ok")) {
    const sys::Json* error = reader.object(&document, "error");
    const auto number = static_cast<int>(reader.integer(error, "errno", 0, 4096).value_or(0));
    if (number == ESRCH || number == EIDRM) return not_running();
    return sys::error(reader.text(error, "step", kStep), reader.text(error, "message"), number);
  }
  if (!network) return sys::error(kStep, "the supervisor sent no network", EPROTO);
  Loan loan{std::move(network), reader.text(&document, "address")};
  SYS_TRY(reader.done());
  return loan;
}

}  // namespace

sys::Result<void> NetworkLoan::ask(const std::string& socket, Done done) {
  cancel();
  auto connected = sys::connect_unix(socket);
  if (!connected) {
    const int err = connected.failure().err;
    // Its supervisor has ended, and perhaps removed it.
    return err == ENOENT || err == ECONNREFUSED || err == ENOTDIR ? not_running() : connected.take_failure();
  }
  JsonText hello;
  JsonText request;
  const std::string question = encode_frame(FrameType::kClientHello, hello.put("version", protocol_version()).text()) +
                               encode_frame(FrameType::kRequest, request.put("id", 1).put("op", "network").text());
  SYS_TRY(sys::write_all(connected->get(), question));
  SYS_TRY(loop_.watch(connected->get(), EPOLLIN, [this](uint32_t) { on_event(); }));
  socket_ = std::move(*connected);
  done_ = std::move(done);
  patience_ = loop_.after(kPatienceMs, [this] {
    patience_ = 0;
    finish(sys::error(kStep, "the supervisor of that container does not answer", ETIMEDOUT));
  });
  return {};
}

void NetworkLoan::on_event() {
  char data[kReadSize];
  auto received = sys::receive_fds(socket_.get(), data, sizeof data);
  if (!received) return finish(received.take_failure());
  if (received->size == 0) return finish(not_running());
  if (!received->fds.empty()) network_ = std::move(received->fds.front());
  reader_.append(data, received->size);
  for (;;) {
    Frame frame;
    const FrameReader::Next next = reader_.next(frame);
    if (next == FrameReader::Next::kMore) return;
    if (next == FrameReader::Next::kBroken) return finish(sys::error(kStep, "what arrived is not a frame", EPROTO));
    if (static_cast<FrameType>(frame.type) == FrameType::kReply) {
      return finish(parse_reply(frame.payload, std::move(network_)));
    }
  }
}

void NetworkLoan::finish(sys::Result<Loan> loan) {
  const Done done = std::exchange(done_, nullptr);
  cancel();
  done(std::move(loan));
}

void NetworkLoan::cancel() {
  loop_.cancel(patience_);
  if (socket_) loop_.forget(socket_.get());
  socket_.reset();
  network_.reset();
  reader_ = {};
  done_ = nullptr;
}

}  // namespace supervisor
