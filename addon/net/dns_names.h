// The names of the containers of one network, as their supervisors publish them.
//
// The folder has one file for each container's address: its name is the address, its lines are the names. The
// supervisor writes it by rename and holds a lock on it (flock, exclusive) for as long as the container is on the
// network: what a killed one left is a file whose lock can be taken, and counts for nothing.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <ctime>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/endpoint.h"
#include "sys/fd.h"

namespace net {

class NameFolder {
 public:
  // `folder` is open for reading; whoever asks must be able to read the files in it. `network` is the network's name.
  NameFolder(sys::Fd folder, std::string network);

  // The addresses that have this name now (lower case; "web", or "web.<network>"), in no order.
  std::vector<Address> find(std::string_view name);
  // The first of the address's names with the network's behind it, as it was written; "" when nobody has the address.
  std::string name_of(const Address& address);

 private:
  // Which version of a file this is: a rename brings another inode or another time.
  struct Version {
    ino_t inode = 0;
    timespec modified{}, changed{};
    bool operator==(const struct stat& info) const;
  };
  struct Entry {
    std::string file;
    Version version;
    std::vector<std::string> names;  // as they were written
  };

  void refresh();
  void read_folder();
  bool read_entry(const std::string& file, Entry& entry) const;
  [[nodiscard]] bool lives(const Entry& entry) const;
  void index_names();

  sys::Fd folder_;
  std::string network_;
  std::string suffix_;  // "." and the network's name, lower case
  std::map<Address, Entry> entries_;
  std::unordered_multimap<std::string, Address> by_name_;  // lower case
  timespec seen_{};                                        // when the folder, as it was last read, was last modified
  bool is_settled_ = false;                                // and no later change can have that same time
};

}  // namespace net
