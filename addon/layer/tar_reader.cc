#include "layer/tar_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "layer/name.h"
#include "layer/tar_sparse.h"

namespace layer {
namespace {

// chown(2) takes it for "leave the owner as it is".
constexpr uint64_t kNoId = std::numeric_limits<uint32_t>::max();

sys::Error truncated() { return sys::error("read tar", "the archive ends in the middle of an entry"); }

uint64_t padding_of(uint64_t size) { return (kBlockSize - size % kBlockSize) % kBlockSize; }

sys::Error at_entry(sys::Error failure, const std::string& name) {
  if (failure.path.empty()) failure.path = printable(name);
  return failure;
}

sys::Result<uint32_t> id_of(std::optional<uint64_t> pax, int64_t header, const char* what) {
  if (!pax && header < 0) return sys::error("read tar", std::string(what) + " is negative");
  const uint64_t id = pax ? *pax : static_cast<uint64_t>(header);
  if (id >= kNoId) return sys::error("read tar", std::string(what) + " is out of range: " + std::to_string(id));
  return static_cast<uint32_t>(id);
}

bool has_stored_data(EntryType type) { return type == EntryType::kFile; }

}  // namespace

sys::Result<void> TarReader::refill() {
  if (!chunk_.empty()) return {};
  auto more = source_.next();
  if (!more) return more.take_failure();
  chunk_ = *more;
  return {};
}

sys::Result<bool> TarReader::read_block(Block& block) {
  size_t have = 0;
  while (have < kBlockSize) {
    SYS_TRY(refill());
    if (chunk_.empty()) {
      if (have == 0) return false;
      return truncated();
    }
    const size_t take = std::min(kBlockSize - have, chunk_.size());
    std::memcpy(block.data() + have, chunk_.data(), take);
    chunk_ = chunk_.subspan(take);
    have += take;
  }
  return true;
}

sys::Result<bool> TarReader::read_header_block(Block& block) {
  auto more = read_block(block);
  if (!more || !*more || !is_zero(block)) return more;
  more = read_block(block);
  if (!more) return more;
  if (!*more || is_zero(block)) return false;
  // GNU tar stops here, libarchive may go on: an archive that two readers read differently is refused.
  return sys::error("read tar", "a lone zero block within the archive");
}

sys::Result<void> TarReader::skip(uint64_t size) {
  while (size > 0) {
    SYS_TRY(refill());
    if (chunk_.empty()) return truncated();
    const size_t take = std::min<uint64_t>(size, chunk_.size());
    chunk_ = chunk_.subspan(take);
    size -= take;
  }
  return {};
}

sys::Result<std::string> TarReader::read_meta(const Header& header) {
  const auto size = static_cast<uint64_t>(header.size);
  if (size > kMaxMetaSize) {
    return sys::error("limit", "an extension header of " + std::to_string(size) + " bytes; " +
                                   std::to_string(kMaxMetaSize) + " are allowed");
  }
  std::string meta;
  while (meta.size() < size) {
    SYS_TRY(refill());
    if (chunk_.empty()) return truncated();
    const size_t take = std::min<uint64_t>(size - meta.size(), chunk_.size());
    meta.append(reinterpret_cast<const char*>(chunk_.data()), take);
    chunk_ = chunk_.subspan(take);
  }
  SYS_TRY(skip(padding_of(size)));
  return meta;
}

// An extension header's own size is the one in its block: a PAX size before it belongs to the member that follows
// (CVE-2026-53655).
sys::Result<bool> TarReader::extend(const Header& header, Extensions& extensions) {
  switch (header.flag) {
    case 'x':
    case 'X':  // Solaris before it was standardised
    case 'g': {
      auto meta = read_meta(header);
      if (!meta) return meta.take_failure();
      auto pax = parse_pax({reinterpret_cast<const uint8_t*>(meta->data()), meta->size()});
      if (!pax) return pax.take_failure();
      // Global headers are checked but have no effect, as in the engines: git writes its commit id into one.
      if (header.flag != 'g') extensions.pax = std::move(*pax);
      return true;
    }
    case 'L':
    case 'K': {
      auto meta = read_meta(header);
      if (!meta) return meta.take_failure();
      (header.flag == 'L' ? extensions.long_name : extensions.long_link) = meta->substr(0, meta->find('\0'));
      return true;
    }
    case 'V':  // a volume's label
      SYS_TRY(skip(static_cast<uint64_t>(header.size) + padding_of(static_cast<uint64_t>(header.size))));
      return true;
    default:
      return false;
  }
}

sys::Result<void> TarReader::set_type(const Header& header, Entry& entry) {
  switch (header.flag) {
    case '\0':
    case '0':
      // V7 had no flag for directories.
      entry.type = entry.name.ends_with('/') ? EntryType::kDirectory : EntryType::kFile;
      return {};
    case '7':  // "contiguous"
    case 'S':
      entry.type = EntryType::kFile;
      return {};
    case '1':
      entry.type = EntryType::kHardlink;
      return {};
    case '2':
      entry.type = EntryType::kSymlink;
      return {};
    case '3':
      entry.type = EntryType::kCharDevice;
      return {};
    case '4':
      entry.type = EntryType::kBlockDevice;
      return {};
    case '5':
    case 'D':  // GNU incremental: the data lists the folder
      entry.type = EntryType::kDirectory;
      return {};
    case '6':
      entry.type = EntryType::kFifo;
      return {};
    default: {
      std::string flag;
      if (header.flag >= 0x21 && header.flag < 0x7f) {
        flag = std::string("'") + static_cast<char>(header.flag) + "'";
      } else {
        flag = std::to_string(header.flag);
      }
      return sys::error("read tar", "unknown type of entry: " + flag);
    }
  }
}

sys::Result<void> TarReader::fill(const Block& block, const Header& header, Extensions& extensions, Entry& entry) {
  const Pax empty;
  const Pax& pax = extensions.pax ? *extensions.pax : empty;
  entry = Entry();
  entry.name = pax.path ? *pax.path : extensions.long_name ? *extensions.long_name : header.name;
  entry.link = pax.link ? *pax.link : extensions.long_link ? *extensions.long_link : header.link;
  SYS_TRY(set_type(header, entry));
  if (pax.sparse && entry.type == EntryType::kFile && pax.sparse_name) entry.name = *pax.sparse_name;
  entry.mode = header.mode;
  auto uid = id_of(pax.uid, header.uid, "uid");
  if (!uid) return uid.take_failure();
  entry.uid = *uid;
  auto gid = id_of(pax.gid, header.gid, "gid");
  if (!gid) return gid.take_failure();
  entry.gid = *gid;
  entry.modified = pax.modified.value_or(header.modified);
  entry.accessed = pax.accessed ? pax.accessed : header.accessed;
  if (entry.type == EntryType::kCharDevice || entry.type == EntryType::kBlockDevice) {
    // The kernel's dev_t has 12 and 20 bits; makedev(3) would cut what does not fit, and make another device.
    if (header.device_major < 0 || header.device_major > 0xfff || header.device_minor < 0 ||
        header.device_minor > 0xfffff) {
      return sys::error("read tar", "device number out of range");
    }
    entry.device_major = static_cast<uint32_t>(header.device_major);
    entry.device_minor = static_cast<uint32_t>(header.device_minor);
  }
  if (extensions.pax) entry.xattrs = std::move(extensions.pax->xattrs);
  return begin_data(block, header, extensions, entry);
}

sys::Result<void> TarReader::begin_data(const Block& block, const Header& header, Extensions& extensions,
                                        Entry& entry) {
  const uint64_t stored =
      extensions.pax && extensions.pax->size ? *extensions.pax->size : static_cast<uint64_t>(header.size);
  sparse_ = false;
  segments_.clear();
  segment_ = 0;
  position_ = 0;
  // Links, devices and folders store nothing, whatever their size says: old tars put the linked file's size there.
  left_ = has_stored_data(entry.type) ? stored : 0;
  padding_ = padding_of(left_);
  if (header.flag == 'D') padding_ = stored + padding_of(stored);  // a list of names: passed over
  entry.size = has_stored_data(entry.type) ? stored : 0;
  if (entry.type != EntryType::kFile) return {};
  if (header.flag == 'S') {
    SYS_TRY(read_gnu_map(block, entry));
  } else if (extensions.pax && extensions.pax->sparse) {
    entry.sparse = true;
    entry.size = extensions.pax->real_size.value_or(stored);
    segments_ = std::move(extensions.pax->segments);
    if (extensions.pax->map_in_data) SYS_TRY(read_pax_map());
  }
  if (!entry.sparse) return {};
  sparse_ = true;
  return check_segments(segments_, entry.size, left_);
}

sys::Result<void> TarReader::read_gnu_map(const Block& block, Entry& entry) {
  entry.sparse = true;
  bool extended = false;
  SYS_TRY(parse_gnu_sparse(block, segments_, extended, entry.size));
  Block extension;
  while (extended) {
    auto more = read_block(extension);
    if (!more) return more.take_failure();
    if (!*more) return truncated();
    SYS_TRY(parse_gnu_extension(extension, segments_, extended));
  }
  return {};
}

sys::Result<void> TarReader::read_pax_map() {
  SparseMap map;
  Block block;
  segments_.clear();
  while (!map.complete()) {
    if (left_ < kBlockSize) return sys::error("read tar", "sparse file: its map is cut off");
    auto more = read_block(block);
    if (!more) return more.take_failure();
    if (!*more) return truncated();
    left_ -= kBlockSize;
    SYS_TRY(map.feed({reinterpret_cast<const char*>(block.data()), block.size()}));
  }
  segments_ = map.take();
  return {};
}

sys::Result<bool> TarReader::next(Entry& entry) {
  SYS_TRY(skip(left_));
  left_ = 0;
  SYS_TRY(skip(padding_));
  padding_ = 0;
  Extensions extensions;
  Block block;
  while (true) {
    auto more = read_header_block(block);
    if (!more) return more.take_failure();
    if (!*more) {
      if (extensions.pax || extensions.long_name || extensions.long_link) return truncated();
      return false;
    }
    auto header = parse_header(block);
    if (!header) return header.take_failure();
    auto extended = extend(*header, extensions);
    if (!extended) return at_entry(extended.take_failure(), header->name);
    if (*extended) continue;
    auto filled = fill(block, *header, extensions, entry);
    if (!filled) return at_entry(filled.take_failure(), entry.name);
    return true;
  }
}

sys::Result<Piece> TarReader::data() {
  if (sparse_) {
    while (segment_ < segments_.size() && position_ == segments_[segment_].size) {
      segment_++;
      position_ = 0;
    }
  }
  if (left_ == 0) return Piece();
  SYS_TRY(refill());
  if (chunk_.empty()) return truncated();
  uint64_t take = std::min<uint64_t>(left_, chunk_.size());
  Piece piece;
  piece.offset = position_;
  if (sparse_) {
    // check_segments() made sure that the runs add up to what is stored, so that there is one.
    const Segment& segment = segments_[segment_];
    take = std::min(take, segment.size - position_);
    piece.offset = segment.offset + position_;
  }
  piece.bytes = chunk_.first(take);
  chunk_ = chunk_.subspan(take);
  left_ -= take;
  position_ += take;
  return piece;
}

}  // namespace layer
