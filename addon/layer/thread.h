// A thread that may fail to start: std::thread would throw, and there are no exceptions here.
#pragma once

#include <pthread.h>

#include <functional>

#include "sys/result.h"

namespace layer {

class Thread {
 public:
  Thread() = default;
  ~Thread() { join(); }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  sys::Result<void> start(std::function<void()> body) {
    body_ = std::move(body);
    const int failed = pthread_create(
        &thread_, nullptr,
        [](void* self) -> void* {
          static_cast<Thread*>(self)->body_();
          return nullptr;
        },
        this);
    if (failed != 0) return sys::errno_error("start a thread", {}, failed);
    running_ = true;
    return {};
  }

  void join() {
    if (running_) pthread_join(thread_, nullptr);
    running_ = false;
  }

 private:
  std::function<void()> body_;
  pthread_t thread_ = {};
  bool running_ = false;
};

}  // namespace layer
