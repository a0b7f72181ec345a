#include "layer/unpack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layer/confine.h"
#include "layer/name.h"
#include "layer/plain_input.h"
#include "layer/tar_reader.h"
#include "layer/writer.h"

namespace layer {
namespace {

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

  const Expected& expected = request.expected;
  PlainInput input(request.input, std::move(*keep), {expected.size, expected.digest, expected.diff_id}, request.limits,
                   progress);
  SYS_TRY(input.start());

  Writer writer(*tree, {request.userxattr, request.ignore_chown, request.limits.depth});
  auto entries = write_entries(input, writer, request.limits);
  if (!entries) {
    input.cancel();
    return entries.take_failure();
  }
  auto report = writer.finish();
  if (!report) return report.take_failure();
  input.stop();

  UnpackResult result;
  auto digests = input.digests();
  result.digest = std::move(digests.blob);
  result.size = input.blob().size();
  result.diff_id = std::move(digests.diff_id);
  result.diff_size = input.size();
  result.compression = input.compression();
  result.entries = *entries;
  SYS_TRY(verify(request.expected, result));
  if (request.sync) {
    SYS_TRY(input.blob().sync());
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
