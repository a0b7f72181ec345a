// The events of every container of one run-time folder, each written by whoever caused it: JSON lines in
// `<run-time folder>/events/journal`, and the older ones in `journal.1`. lib/run/journal.ts is the same in Node, and
// lib/run/events.ts reads them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace supervisor {

using EventAttributes = std::vector<std::pair<std::string, std::string>>;

// One container's entries. Nothing here fails: a full or missing run-time folder costs an event, never a container.
class Journal {
 public:
  // `socket` is the container's, `<run-time folder>/<short id>/ctl`.
  Journal(const std::string& socket, std::string bundle, std::string id);

  // The event is in the journal, with the container's image, name and labels beside `extra`. Some ten microseconds:
  // after the reply, where somebody waits for a start.
  void note(const char* action, const EventAttributes& extra = {});

  // Reads image, name and labels now: its record is about to go, or has changed.
  void load();

 private:
  std::string folder_;
  std::string bundle_;
  std::string id_;
  bool loaded_ = false;
  EventAttributes known_;  // image and name
  EventAttributes labels_;
};

// `line` is in the journal in `folder`, as one write(2): a killed writer leaves nothing, or a torn line, which readers
// skip and which takes no other with it.
void append_to_journal(const std::string& folder, std::string_view line);

}  // namespace supervisor
