// The beginning of every mode: the hello and the first request, before there is a loop.
#pragma once

#include "supervisor/connection.h"
#include "supervisor/frames.h"
#include "sys/result.h"

namespace supervisor {

struct FirstRequest {
  Request request;
  bool hold = false;
  FrameReader reader;  // what else has arrived
};

// Blocks until the creator has said hello, which is answered, and asked its first request. An error when it has closed
// the connection, or speaks another language or version.
sys::Result<FirstRequest> read_first_request(int control);

// Of two that speak different versions, whose containers and libraries live on while one of them is upgraded.
sys::Error version_error(int64_t container, int64_t asker);

// Blocking answers, for modes without a loop.
void reply_now(int control, int64_t id, std::string_view members);
void reply_error_now(int control, int64_t id, const sys::Error& error);

}  // namespace supervisor
