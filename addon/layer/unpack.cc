#include "layer/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "layer/blob_input.h"
#include "layer/confine.h"
#include "layer/digest.h"
#include "layer/inflate.h"
#include "layer/name.h"
#include "layer/tar_reader.h"
#include "layer/writer.h"

namespace layer {
namespace {

constexpr size_t kChunkSize = 256UL * 1024;
constexpr size_t kChunks = 8;
// 128 MiB, as zstd(1) accepts; layers are made with 8 MiB at most unless somebody asks for --long.
constexpr int kZstdWindowLog = 27;
constexpr auto kProgressInterval = std::chrono::milliseconds(100);

// modes in the archive mean what they say.
class ClearUmask {
 public:
  ClearUmask() : former_(umask(0)) {}
  ~ClearUmask() { umask(former_); }
  ClearUmask(const ClearUmask&) = delete;
  ClearUmask& operator=(const ClearUmask&) = delete;

 private:
  mode_t former_;
};

// A source whose first chunk somebody has looked at.
class PeekedSource final : public ByteSource {
 public:
  PeekedSource(std::span<const uint8_t> first, ByteSource& rest) : first_(first), rest_(rest) {}
  sys::Result<std::span<const uint8_t>> next() override {
    if (first_.empty()) return rest_.next();
    return std::exchange(first_, {});
  }

 private:
  std::span<const uint8_t> first_;
  ByteSource& rest_;
};

// The second stage: pulls the blob, pushes what it holds.
class InflateStage {
 public:
  InflateStage(std::unique_ptr<Inflater> inflater, ByteSource& in)
      : inflater_(std::move(inflater)), in_(in), ring_(kChunks, kChunkSize) {}
  ~InflateStage() { stop(); }
  InflateStage(const InflateStage&) = delete;
  InflateStage& operator=(const InflateStage&) = delete;

  sys::Result<void> start() {
    return thread_.start([this] { run(); });
  }
  Ring& ring() { return ring_; }
  void stop() {
    ring_.cancel();
    thread_.join();
  }

 private:
  void run() {
    while (uint8_t* chunk = ring_.produce()) {
      auto filled = inflater_->read(chunk, ring_.chunk_size());
      if (!filled) return ring_.fail(filled.take_failure());
      if (*filled > 0) {
        ring_.commit(*filled);
        continue;
      }
      // The digest covers what follows the last member too.
      while (true) {
        auto rest = in_.next();
        if (!rest) return ring_.fail(rest.take_failure());
        if (rest->empty()) break;
      }
      return ring_.finish();
    }
  }

  std::unique_ptr<Inflater> inflater_;
  ByteSource& in_;
  Ring ring_;
  Thread thread_;
};

// The uncompressed stream as the tar reader sees it: counted, limited, hashed.
class DiffSource final : public ByteSource {
 public:
  DiffSource(ByteSource& in, const BlobInput& blob, const Limits& limits, std::optional<Digest> hash,
             const ProgressFn& progress)
      : in_(in), blob_(blob), limits_(limits), hash_(hash), progress_(progress) {}

  sys::Result<std::span<const uint8_t>> next() override {
    auto chunk = in_.next();
    if (!chunk) return chunk;
    size_ += chunk->size();
    if (size_ > limits_.bytes) {
      return sys::error("limit bytes", "the layer unpacks to over " + std::to_string(limits_.bytes) + " bytes");
    }
    if (size_ > limits_.ratio_floor && size_ / limits_.ratio > blob_.size()) {
      return sys::error("limit ratio", "the layer unpacks to over " + std::to_string(limits_.ratio) +
                                           " times its size, as a decompression bomb does");
    }
    if (hash_) hash_->update(*chunk);
    report();
    return chunk;
  }

  [[nodiscard]] uint64_t size() const { return size_; }
  std::string digest() { return hash_->text(); }

 private:
  void report() {
    const auto now = std::chrono::steady_clock::now();
    if (!progress_ || now - reported_ < kProgressInterval) return;
    reported_ = now;
    progress_({blob_.size(), size_});
  }

  ByteSource& in_;
  const BlobInput& blob_;
  const Limits& limits_;
  std::optional<Digest> hash_;
  const ProgressFn& progress_;
  uint64_t size_ = 0;
  std::chrono::steady_clock::time_point reported_ = {};
};

// The file for the blob, gone again unless keep() was called.
class BlobFile {
 public:
  ~BlobFile() {
    if (folder_) unlinkat(folder_.get(), name_.c_str(), 0);
  }
  BlobFile() = default;
  BlobFile(const BlobFile&) = delete;
  BlobFile& operator=(const BlobFile&) = delete;

  sys::Result<sys::Fd> create(const std::string& path) {
    if (path.empty()) return sys::Fd();
    const size_t slash = path.rfind('/');
    name_ = path.substr(slash == std::string::npos ? 0 : slash + 1);
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    // By descriptor: the path means something else once the process is confined.
    sys::Fd opened(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!opened) return sys::errno_error("keep blob", folder);
    sys::Fd file(openat(opened.get(), name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return sys::errno_error("keep blob", path);
    folder_ = std::move(opened);
    return file;
  }
  void keep() { folder_.reset(); }

 private:
  sys::Fd folder_;
  std::string name_;
};

// A limit of the whole layer names the entry at which it was met.
sys::Error at_entry(sys::Error failure, const Entry& entry) {
  if (failure.path.empty() && failure.step.starts_with("limit")) failure.path = printable(entry.name);
  return failure;
}

sys::Result<uint64_t> write_entries(ByteSource& source, Writer& writer, const Limits& limits) {
  TarReader reader(source);
  Entry entry;
  uint64_t entries = 0;
  uint64_t sparse_bytes = 0;
  while (true) {
    auto more = reader.next(entry);
    if (!more) return at_entry(more.take_failure(), entry);
    if (!*more) break;
    if (++entries > limits.entries) {
      const std::string most = std::to_string(limits.entries);
      return at_entry(sys::error("limit entries", "the layer has over " + most + " entries"), entry);
    }
    if (entry.sparse && (entry.size > limits.bytes || (sparse_bytes += entry.size) > limits.bytes)) {
      const std::string most = std::to_string(limits.bytes);
      return at_entry(sys::error("limit bytes", "the layer's sparse files have over " + most + " bytes"), entry);
    }
    SYS_TRY(writer.add(entry, reader));
  }
  // The diff id is of the whole stream: tar pads it to ten KiB, others append what they like.
  while (true) {
    auto rest = source.next();
    if (!rest) return at_entry(rest.take_failure(), entry);
    if (rest->empty()) return entries;
  }
}

std::string algorithm_of(const std::string& digest) {
  return digest.empty() ? "sha256" : digest.substr(0, digest.find(':'));
}

sys::Result<void> verify(const Expected& expected, const UnpackResult& result) {
  const auto mismatch = [](const char* what, const std::string& want, const std::string& got) {
    return sys::error("verify", std::string(what) + " is " + got + ", not " + want);
  };
  if (!expected.digest.empty() && expected.digest != result.digest)
    return mismatch("the blob's digest", expected.digest, result.digest);
  if (!expected.diff_id.empty() && expected.diff_id != result.diff_id)
    return mismatch("the diff id", expected.diff_id, result.diff_id);
  return {};
}

}  // namespace

sys::Result<UnpackResult> unpack(const UnpackRequest& request, const ProgressFn& progress) {
  if (request.media_type.ends_with("+encrypted")) return sys::error("inflate", "encrypted layers are not supported");
  const ClearUmask clear_umask;
  const sys::Fd root(open(request.layer_dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root) return sys::errno_error("extract", request.layer_dir);
  auto tree = Tree::open(root.get(), request.ignore_chown);
  if (!tree) return tree.take_failure();
  BlobFile blob_file;
  auto keep = blob_file.create(request.blob_file);
  if (!keep) return keep.take_failure();
  if (request.confine) SYS_TRY(confine(root.get(), kToUnpack));

  // In this order, so that each stage is stopped before the one it reads from.
  BlobInput blob(request.input, std::move(*keep), request.expected.size, request.expected.digest);
  SYS_TRY(blob.start());
  auto head = blob.ring().next();
  if (!head) return head.take_failure();
  PeekedSource peeked(*head, blob.ring());
  const Compression compression = sniff(*head);
  if (compression == Compression::kBzip2 || compression == Compression::kXz) {
    return sys::error("inflate", std::string(compression == Compression::kXz ? "xz" : "bzip2") +
                                     " is no compression of OCI layers (gzip, zstd or none are)");
  }
  std::optional<InflateStage> inflate;
  if (compression != Compression::kNone) {
    inflate.emplace(
        compression == Compression::kGzip ? make_gzip_inflater(peeked) : make_zstd_inflater(peeked, kZstdWindowLog),
        peeked);
    SYS_TRY(inflate->start());
  }
  // A blob that is not compressed is its own diff: one hash does, if both are of one algorithm.
  const bool own_hash = inflate || algorithm_of(request.expected.digest) != algorithm_of(request.expected.diff_id);
  DiffSource diff(inflate ? static_cast<ByteSource&>(inflate->ring()) : peeked, blob, request.limits,
                  own_hash ? std::optional<Digest>(request.expected.diff_id) : std::nullopt, progress);

  Writer writer(*tree, {request.userxattr, request.ignore_chown, request.limits.depth});
  auto entries = write_entries(diff, writer, request.limits);
  if (!entries) {
    // Whatever the inflater waits for will not come: the blob's thread first.
    if (inflate) inflate->ring().cancel();
    blob.stop();
    return entries.take_failure();
  }
  auto report = writer.finish();
  if (!report) return report.take_failure();
  if (inflate) inflate->stop();
  blob.stop();

  UnpackResult result;
  result.digest = blob.digest();
  result.size = blob.size();
  result.diff_id = own_hash ? diff.digest() : result.digest;
  result.diff_size = diff.size();
  if (inflate) result.compression = compression == Compression::kGzip ? "gzip" : "zstd";
  result.entries = *entries;
  SYS_TRY(verify(request.expected, result));
  if (request.sync) {
    SYS_TRY(blob.sync());
    if (syncfs(root.get()) != 0) return sys::errno_error("extract", {}, errno);
  }
  result.implicit = std::move(report->implicit);
  result.whiteouts = std::move(report->whiteouts);
  result.lower_links = std::move(report->lower_links);
  result.warnings = std::move(report->warnings);
  result.skipped_devices = report->skipped_devices;
  blob_file.keep();
  if (progress) progress({result.size, result.diff_size});
  return result;
}

}  // namespace layer
