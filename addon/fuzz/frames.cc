// The control protocol's first reader: whatever bytes arrive, in whatever cuts. The first byte says where to cut.
#include <cstddef>
#include <cstdint>

#include "supervisor/connection.h"
#include "supervisor/frames.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const size_t step = static_cast<size_t>(data[0]) + 1;
  const char* bytes = reinterpret_cast<const char*>(data) + 1;
  size_t left = size - 1;
  supervisor::FrameReader reader;
  while (left > 0) {
    const size_t piece = left < step ? left : step;
    reader.append(bytes, piece);
    bytes += piece;
    left -= piece;
    supervisor::Frame frame;
    supervisor::FrameReader::Next next;
    while ((next = reader.next(frame)) == supervisor::FrameReader::Next::kFrame) {
      auto request = supervisor::parse_request(frame.payload);
      // A request that was taken can be answered: its id is a number that JavaScript can hold.
      if (request && (request->id < 0 || request->id > (int64_t{1} << 53))) __builtin_trap();
    }
    if (next == supervisor::FrameReader::Next::kBroken) break;
  }
  return 0;
}
