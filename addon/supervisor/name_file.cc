#include "supervisor/name_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace supervisor {

sys::Result<void> NameFile::publish(const std::string& folder, const std::string& address,
                                    const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += name + "\n";
  const std::string path = folder + "/" + address;
  // No address begins with a dot. What a killed supervisor left there is overwritten by the next owner of the address.
  const std::string draft = folder + "/." + address;
  sys::Fd file(open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return sys::errno_error("tell names", draft);
  // Before it has its name: whoever sees it finds it locked.
  const bool told = fchmod(file.get(), 0644) == 0 && flock(file.get(), LOCK_EX | LOCK_NB) == 0 &&
                    write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                    rename(draft.c_str(), path.c_str()) == 0;
  if (!told) {
    auto failure = sys::errno_error("tell names", draft);
    unlink(draft.c_str());
    return failure;
  }
  path_ = path;
  lock_ = std::move(file);
  return {};
}

void NameFile::withdraw() {
  if (!lock_) return;
  unlink(path_.c_str());
  lock_.reset();
}

}  // namespace supervisor
