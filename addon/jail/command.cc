#include "jail/command.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

namespace jail {
namespace {

constexpr int kNotFound = 127;
constexpr int kCannotExecute = 126;
constexpr char kDefaultPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

sys::Error command_error(const std::string& path, int err, const std::string& message) {
  sys::Error failure = sys::error("execve", message, err);
  failure.exit_code = err == ENOENT || err == ENOTDIR ? kNotFound : kCannotExecute;
  failure.path = path;
  return failure;
}

// 0, or why `path` cannot be executed. By effective ids, as execve(2) will look at it.
int check_executable(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return errno;
  if (S_ISDIR(info.st_mode)) return EISDIR;
  if (!S_ISREG(info.st_mode)) return EACCES;
  if (faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0) return errno;
  return 0;
}

std::string path_of(const std::vector<std::string>& env) {
  std::string path = kDefaultPath;
  for (const std::string& variable : env) {
    if (variable.rfind("PATH=", 0) == 0) path = variable.substr(5);
  }
  return path;
}

}  // namespace

sys::Result<std::string> find_command(const std::string& name, const std::vector<std::string>& env) {
  if (name.empty()) return command_error(name, ENOENT, "the command is empty");
  if (name.find('/') != std::string::npos) {
    const int err = check_executable(name);
    if (err == 0) return name;
    return command_error(name, err, "cannot execute '" + name + "': " + strerror(err));
  }
  int refused = 0;
  std::string refused_path;
  const std::string search = path_of(env);
  for (size_t start = 0; start <= search.size();) {
    const size_t end = std::min(search.find(':', start), search.size());
    const std::string folder = search.substr(start, end - start);
    start = end + 1;
    // An empty entry would mean the current folder, from where a container's files must not be picked up by accident.
    if (folder.empty()) continue;
    std::string path = folder;
    path.append("/").append(name);
    const int err = check_executable(path);
    if (err == 0) return path;
    if (err != ENOENT && err != ENOTDIR && refused == 0) {
      refused = err;
      refused_path = path;
    }
  }
  if (refused != 0)
    return command_error(refused_path, refused, "cannot execute '" + refused_path + "': " + strerror(refused));
  return command_error(name, ENOENT, "'" + name + "' was not found in the container's PATH");
}

sys::Error execve_error(const std::string& path, int err) {
  std::string message = "cannot execute '" + path + "': ";
  if (err == ENOENT) {
    // The file itself was there a moment ago.
    message += "its interpreter or loader is missing in the image";
  } else if (err == ENOEXEC) {
    message += "it is not a program for this machine, nor a script with a #! line";
  } else {
    message += strerror(err);
  }
  return command_error(path, err, message);
}

}  // namespace jail
