// libFuzzer: a whole layer, from the blob's framing to the folder: an error or a layer, and nothing outside is touched.
//
// The input's first byte says what the rest is: a blob as it stands, or a program that writes an archive, whose names
// and types are chosen so that they meet; then how that is compressed, and where it is damaged.
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "layer/unpack.h"
#include "sys/kernel.h"
#include "sys/tree.h"

namespace {

constexpr const char* kScratch = "/mnt";
constexpr std::string_view kCanary = "alive";

void check(bool promise) {
  if (!promise) abort();
}

// Should something reach out of the folder after all, it finds a machine that cannot be written to. False where this
// process may not have mounts of its own: then it can spoil little.
bool shut_in() {
  if (unshare(CLONE_NEWNS) != 0) return false;
  const auto set = [](const char* path, unsigned flags, uint64_t set, uint64_t clear) {
    struct mount_attr attributes {};
    attributes.attr_set = set;
    attributes.attr_clr = clear;
    return sys::mount_setattr(AT_FDCWD, path, flags, attributes) == 0;
  };
  check(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  check(set("/", AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0));
  // Where the corpus lies.
  check(mount("/tmp", "/tmp", nullptr, MS_BIND, nullptr) == 0 && set("/tmp", 0, 0, MOUNT_ATTR_RDONLY));
  check(mount("tmpfs", kScratch, "tmpfs", 0, "size=64m") == 0);
  return true;
}

std::string scratch() {
  static const std::string kFolder = [] {
    if (shut_in()) return std::string(kScratch);
    std::string name = "/tmp/fuzz-unpack-XXXXXX";
    check(mkdtemp(name.data()) != nullptr);
    return name;
  }();
  return kFolder;
}

class Input {
 public:
  Input(const uint8_t* bytes, size_t size) : bytes_(bytes), size_(size) {}
  uint8_t next() {
    if (size_ == 0) return 0;
    size_--;
    return *bytes_++;
  }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::string rest() const { return {reinterpret_cast<const char*>(bytes_), size_}; }

 private:
  const uint8_t* bytes_;
  size_t size_;
};

void append_member(std::string& tar, char flag, const std::string& name, const std::string& link, unsigned mode,
                   const std::string& data) {
  std::array<char, 513> block{};
  const auto put = [&block](size_t at, const std::string& text) {
    text.copy(block.data() + at, std::min<size_t>(text.size(), 100));
  };
  put(0, name);
  snprintf(block.data() + 100, 8, "%07o", mode & 07777);
  snprintf(block.data() + 108, 8, "%07o", mode >> 3 & 3);
  snprintf(block.data() + 116, 8, "%07o", mode >> 5 & 3);
  snprintf(block.data() + 124, 12, "%011zo", data.size());
  snprintf(block.data() + 136, 12, "%011o", 1000000);
  memset(block.data() + 148, ' ', 8);
  block[156] = flag;
  put(157, link);
  put(257, std::string("ustar\0"
                       "00",
                       8));
  snprintf(block.data() + 329, 8, "%07o", mode & 1);
  snprintf(block.data() + 337, 8, "%07o", mode >> 1 & 3);
  unsigned sum = 0;
  for (size_t at = 0; at < 512; at++) sum += static_cast<unsigned char>(block[at]);
  snprintf(block.data() + 148, 8, "%06o", sum);
  tar.append(block.data(), 512);
  tar += data + std::string((512 - data.size() % 512) % 512, '\0');
}

// A few words, so that names meet: a folder, a link, a whiteout of one place.
std::string name_from(Input& input) {
  static constexpr std::array kWords = {"a",
                                        "b",
                                        "c",
                                        "..",
                                        ".",
                                        ".wh.a",
                                        ".wh.b",
                                        ".wh..wh..opq",
                                        "",
                                        "/a",
                                        "d/e",
                                        "../../",
                                        ".wh..wh.plnk",
                                        ".wh..wh.aufs",
                                        "canary",
                                        "\xff"};
  std::string name;
  for (unsigned count = 1 + input.next() % 3; count > 0; count--) {
    if (!name.empty()) name += '/';
    name += kWords[input.next() % kWords.size()];
  }
  return name;
}

std::string archive_from(Input& input) {
  static constexpr std::string_view kFlags = "00000055555112222346xgL7";
  std::string tar;
  while (!input.empty()) {
    const char flag = kFlags[input.next() % kFlags.size()];
    const std::string name = name_from(input);
    const unsigned mode = input.next() | input.next() << 8U;
    if (flag == 'x' || flag == 'g') {
      static constexpr std::array kKeys = {"path",
                                           "linkpath",
                                           "SCHILY.xattr.user.x",
                                           "SCHILY.xattr.trusted.overlay.opaque",
                                           "SCHILY.xattr.user.overlay.redirect",
                                           "mtime",
                                           "size"};
      const std::string rest = std::string(" ") + kKeys[mode % kKeys.size()] + "=" + name + "\n";
      append_member(tar, flag, "pax", "", 0644, std::to_string(rest.size() + 2) + rest);
    } else if (flag == 'L') {
      append_member(tar, flag, "long", "", 0644, name);
    } else {
      append_member(tar, flag, name, flag == '1' || flag == '2' ? name_from(input) : "", mode,
                    flag == '0' ? std::string(mode % 3000, 'x') : "");
    }
  }
  return tar + std::string(1024, '\0');
}

std::string gzipped(const std::string& data) {
  z_stream stream = {};
  check(deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, data.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  check(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstandard(const std::string& data) {
  std::string out(ZSTD_compressBound(data.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), data.data(), data.size(), 1));
  return out;
}

std::string blob_from(Input& input, uint8_t kind) {
  if ((kind & 1) != 0) return input.rest();
  const unsigned damage = input.next() | input.next() << 8U;
  std::string blob = archive_from(input);
  if ((kind & 6) == 2) blob = gzipped(blob);
  if ((kind & 6) == 4) blob = zstandard(blob);
  if ((kind & 8) != 0 && !blob.empty()) blob[damage % blob.size()] ^= static_cast<char>(1 + damage % 255);
  return blob;
}

size_t count_names(const std::string& folder) {
  DIR* stream = opendir(folder.c_str());
  check(stream != nullptr);
  size_t count = 0;
  while (readdir(stream) != nullptr) count++;
  closedir(stream);
  return count;
}

// What the layer must not have touched, made anew each time.
void check_outside(const std::string& base, const struct stat& before) {
  struct stat now {};
  check(count_names(base) == 4);  // ".", "..", the canary, the root
  check(lstat((base + "/canary").c_str(), &now) == 0 && now.st_ino == before.st_ino && now.st_nlink == 1);
  check(now.st_mode == before.st_mode && now.st_uid == before.st_uid && now.st_size == before.st_size);
  check(now.st_mtim.tv_nsec == before.st_mtim.tv_nsec && now.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size < 2) return 0;
  Input input(bytes, size);
  const uint8_t kind = input.next();
  const std::string base = scratch();
  const std::string canary = base + "/canary";
  const std::string root = base + "/root";
  const int fd = open(canary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  check(fd >= 0 && write(fd, kCanary.data(), kCanary.size()) == static_cast<ssize_t>(kCanary.size()));
  struct stat before {};
  check(fstat(fd, &before) == 0 && close(fd) == 0 && mkdir(root.c_str(), 0755) == 0);

  const std::string blob = blob_from(input, kind);
  const int memory = memfd_create("blob", MFD_CLOEXEC);
  check(memory >= 0 && write(memory, blob.data(), blob.size()) == static_cast<ssize_t>(blob.size()));
  check(lseek(memory, 0, SEEK_SET) == 0);
  layer::UnpackRequest request;
  request.input = memory;
  request.layer_dir = root;
  request.limits = {4U << 20U, 1000, 200, 1U << 20U, 64};
  request.userxattr = (kind & 16) != 0 || geteuid() != 0;
  request.ignore_chown = geteuid() != 0;
  auto result = layer::unpack(request, nullptr);
  check(close(memory) == 0);
  check_outside(base, before);
  if (result) {
    check(result->size == blob.size() && result->diff_size <= request.limits.bytes);
    for (const std::string& path : result->whiteouts) {
      struct stat node {};
      check(lstat((root + "/" + path).c_str(), &node) == 0);
    }
  } else {
    check(!result.failure().step.empty());
  }
  check(sys::remove_tree(root).ok());
  return 0;
}
