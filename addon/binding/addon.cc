// The Node-API surface: conversions, nothing else. lib/native/binding.ts documents and checks it; arguments are already
// valid.
#include <fcntl.h>
#include <napi.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include "binding/clone.h"
#include "binding/reaper.h"
#include "binding/seal.h"

namespace binding {
namespace {

// Failures are returned, not thrown: binding.ts makes the error, with a stack and in the caller's realm.
Napi::Value failure(const Napi::Env& env, const sys::Error& error) {
  Napi::Object record = Napi::Object::New(env);
  record.Set("errno", Napi::Number::New(env, error.err));
  record.Set("syscall", Napi::String::New(env, error.step));
  if (!error.path.empty()) record.Set("path", Napi::String::New(env, error.path));
  return record;
}

Napi::Value spawn(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string mode = info[0].ToString();
  const auto fds = info[1].As<Napi::Array>();
  CloneRequest request;
  request.mode = mode.c_str();
  request.count = fds.Length();
  if (request.count > kMaxFds) return failure(env, sys::error("spawn", "too many descriptors", EINVAL));
  for (uint32_t i = 0; i < request.count; i++) request.fds[i] = fds.Get(i).ToNumber().Int32Value();
  request.new_pid_namespace = info[2].ToBoolean();

  auto executable = sealed_executable();
  if (!executable) return failure(env, executable.failure());
  request.executable = executable->fd;
  auto child = clone_and_exec(request);
  if (!child) return failure(env, child.failure());
  const pid_t pid = child->pid;
  adopt(std::move(*child));
  return Napi::Number::New(env, pid);
}

Napi::Value exit_status_of(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto status = exit_status(info[0].ToNumber().Int32Value());
  if (!status) return env.Undefined();
  Napi::Object record = Napi::Object::New(env);
  const Napi::Value value = Napi::Number::New(env, status->value);
  record.Set("exitCode", status->signalled ? env.Null() : value);
  record.Set("signal", status->signalled ? value : env.Null());
  return record;
}

Napi::Value socket_pair(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) return failure(env, sys::errno_error("socketpair"));
  Napi::Array pair = Napi::Array::New(env, 2);
  pair.Set(0U, Napi::Number::New(env, fds[0]));
  pair.Set(1U, Napi::Number::New(env, fds[1]));
  return pair;
}

Napi::Value make_pipe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0) return failure(env, sys::errno_error("pipe2"));
  Napi::Array pair = Napi::Array::New(env, 2);
  pair.Set(0U, Napi::Number::New(env, fds[0]));
  pair.Set(1U, Napi::Number::New(env, fds[1]));
  return pair;
}

Napi::Value lock_file(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const std::string name = info[1].ToString();
  const int operation = name == "exclusive" ? LOCK_EX : name == "shared" ? LOCK_SH : LOCK_UN;
  int result = 0;
  do {
    result = flock(info[0].ToNumber().Int32Value(), operation | LOCK_NB);
  } while (result < 0 && errno == EINTR);
  if (result < 0 && errno != EWOULDBLOCK) return failure(env, sys::errno_error("flock"));
  return Napi::Boolean::New(env, result == 0);
}

Napi::Value close_fd(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (close(info[0].ToNumber().Int32Value()) < 0 && errno != EINTR) return failure(env, sys::errno_error("close"));
  return env.Undefined();
}

Napi::Value stats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Seal seal = current_seal();
  Napi::Object record = Napi::Object::New(env);
  record.Set("seal", seal == Seal::kOverlay ? "overlay" : seal == Seal::kMemfd ? "memfd" : "none");
  record.Set("children", Napi::Number::New(env, static_cast<double>(child_count())));
  return record;
}

Napi::Object initialize(Napi::Env env, Napi::Object exports) {
  exports.Set("spawn", Napi::Function::New(env, spawn, "spawn"));
  exports.Set("exitStatus", Napi::Function::New(env, exit_status_of, "exitStatus"));
  exports.Set("socketpair", Napi::Function::New(env, socket_pair, "socketpair"));
  exports.Set("pipe", Napi::Function::New(env, make_pipe, "pipe"));
  exports.Set("flock", Napi::Function::New(env, lock_file, "flock"));
  exports.Set("closeFd", Napi::Function::New(env, close_fd, "closeFd"));
  exports.Set("stats", Napi::Function::New(env, stats, "stats"));
  return exports;
}

}  // namespace

NODE_API_MODULE(dinghy, initialize)

}  // namespace binding
