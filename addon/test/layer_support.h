// Archives built byte by byte, a folder to unpack them into, and beside it a canary that nothing may touch.
#pragma once

// A REQUIRE that fails ends the whole run: there is no exception to leave one test by.
#ifndef DOCTEST_CONFIG_NO_EXCEPTIONS_BUT_WITH_ALL_ASSERTS
#define DOCTEST_CONFIG_NO_EXCEPTIONS_BUT_WITH_ALL_ASSERTS
#endif
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layer/stream.h"
#include "layer/unpack.h"

namespace layer_test {

// The fields of a header block; text as it stands in the block.
struct Fields {
  std::string name;
  char flag = '0';
  std::string link;
  std::string mode = "0000644";
  std::string uid = "0000000";
  std::string gid = "0000000";
  std::optional<uint64_t> size;  // of the data if absent
  std::string raw_size;          // instead of the octal number
  std::string mtime = "14000000000";
  std::string magic = std::string(
      "ustar\0"
      "00",
      8);
  std::string major;
  std::string minor;
  std::string prefix;
  std::map<size_t, std::string> patches;  // bytes by offset, before the checksum
  bool signed_checksum = false;
  bool bad_checksum = false;
};

using Records = std::vector<std::pair<std::string, std::string>>;

std::string octal(uint64_t value, size_t width);
std::string base256(int64_t value, size_t width);
std::string pax_records(const Records& records);

// Gives the bytes out `step` at a time, so that every field crosses an edge once.
class Pieces final : public layer::ByteSource {
 public:
  Pieces(std::string bytes, size_t step) : bytes_(std::move(bytes)), step_(step) {}
  sys::Result<std::span<const uint8_t>> next() override;

 private:
  std::string bytes_;
  size_t step_;
  size_t at_ = 0;
};

class Tar {
 public:
  Tar& add(const Fields& fields, const std::string& data = {});
  Tar& file(const std::string& name, const std::string& data = "x", const std::string& mode = "0000644");
  Tar& folder(const std::string& name, const std::string& mode = "0000755");
  Tar& symlink(const std::string& name, const std::string& target);
  Tar& hardlink(const std::string& name, const std::string& target);
  Tar& node(const std::string& name, char flag, uint64_t major, uint64_t minor);
  Tar& pax(const Records& records, char flag = 'x');
  Tar& pax_text(const std::string& text, char flag = 'x');
  Tar& meta(char flag, const std::string& data);  // GNU 'L', 'K'
  Tar& raw(const std::string& bytes);
  // Without the two zero blocks.
  [[nodiscard]] const std::string& open() const { return bytes_; }
  [[nodiscard]] std::string done() const { return bytes_ + std::string(1024, '\0'); }

 private:
  std::string bytes_;
};

// A private temporary folder: `root` to unpack into, `canary` beside it.
class Place {
 public:
  Place();
  ~Place();
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  layer::UnpackRequest request;
  // The outcome of the last unpack().
  std::optional<layer::UnpackResult> result;
  std::optional<sys::Error> failure;

  bool unpack(const std::string& blob);
  bool unpack(const Tar& tar) { return unpack(tar.done()); }

  [[nodiscard]] std::string path(const std::string& name) const { return base_ + "/root/" + name; }
  [[nodiscard]] std::string outside(const std::string& name) const { return base_ + "/" + name; }
  // A file's content; nothing if it is no file. Links are not followed.
  [[nodiscard]] std::optional<std::string> content(const std::string& name) const;
  [[nodiscard]] std::optional<std::string> link(const std::string& name) const;
  [[nodiscard]] std::optional<struct stat> status(const std::string& name) const;
  [[nodiscard]] std::optional<std::string> xattr(const std::string& name, const std::string& attribute) const;
  [[nodiscard]] bool exists(const std::string& name) const { return status(name).has_value(); }
  [[nodiscard]] bool is_folder(const std::string& name) const;
  [[nodiscard]] bool is_whiteout(const std::string& name) const;
  [[nodiscard]] bool is_opaque(const std::string& name) const;
  // All names in the root, sorted, folders with a slash.
  [[nodiscard]] std::vector<std::string> names() const;
  // The canary is as it was made: content, times, link count, and the names beside it.
  [[nodiscard]] bool untouched() const;
  // A further layer of a chain: `root` as it is, and above it what mending made beside it.
  std::vector<std::string> mend(const std::vector<std::string>& below);

 private:
  std::string base_;
  struct stat canary_ = {};
  struct stat outside_ = {};
};

// Layers that were unpacked apart from each other and fitted together, bottom first, as the library does it.
class Chain {
 public:
  Chain& add(const Tar& tar);
  // What overlay mounts, topmost first.
  std::vector<std::string> folders;
  Place& layer(size_t index) { return *layers_[index]; }

 private:
  std::vector<std::unique_ptr<Place>> layers_;
};

// A call that must work, or the test is void.
void must(int result);
void write_file(const std::string& path, const std::string& text, int flags = O_CREAT | O_TRUNC);

// The archive of an upper folder above layers (topmost first), as the layer that it is, behind "=" where it says
// nothing new, or "+"; or, where there is none, "!" and why.
std::string layer_of(const std::string& upper, const std::vector<std::string>& lower);

// What `body` answers in a process of its own; 255 when that was killed.
int in_child(const std::function<int()>& body);
// This process has mounts of its own from now on, and a tmpfs on /mnt.
bool own_mounts(const char* tmpfs_options = "");
// Whether this holds in an overlay of these folders, topmost first: asked with its path and a slash.
bool in_overlay(const std::vector<std::string>& layers, const std::function<bool(const std::string&)>& holds);

// What `read` says of the upper folder after `work` has been done in an overlay of the layers (topmost first), whose
// root it is given, with a slash. In a mount namespace and process of its own, so `read` answers in bytes.
std::string upper_after(const std::vector<std::string>& lower, const std::function<void(const std::string&)>& work,
                        const std::function<std::string(const std::string&)>& read);

}  // namespace layer_test
