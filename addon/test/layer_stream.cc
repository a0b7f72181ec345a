// The stream around the archive: compression, digests, limits, the kept blob, and ends that come too soon.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <thread>

#include "layer/digest.h"
#include "layer/inflate.h"
#include "layer_support.h"

using namespace layer_test;

namespace {

std::string gzip(const std::string& data, int level = 6, gz_header* header = nullptr) {
  z_stream stream = {};
  deflateInit2(&stream, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  if (header != nullptr) deflateSetHeader(&stream, header);
  std::string out(deflateBound(&stream, data.size()) + 1024, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& data, bool checksum = true, int window_log = 0) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, checksum ? 1 : 0);
  if (window_log != 0) {
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  }
  std::string out(ZSTD_compressBound(data.size()), '\0');
  // In a stream, so that the frame's window is what was asked for, not the size of the data.
  ZSTD_inBuffer input = {data.data(), data.size(), 0};
  ZSTD_outBuffer output = {out.data(), out.size(), 0};
  if (window_log != 0) {
    ZSTD_EndDirective mode = ZSTD_e_flush;
    ZSTD_inBuffer part = {data.data(), data.size() / 2, 0};
    ZSTD_compressStream2(context, &output, &part, mode);
    input.pos = part.pos;
  }
  ZSTD_compressStream2(context, &output, &input, ZSTD_e_end);
  ZSTD_freeCCtx(context);
  out.resize(output.pos);
  return out;
}

std::string skippable(const std::string& data) {
  std::string frame("\x5a\x2a\x4d\x18", 4);
  for (int at = 0; at < 4; at++) frame += static_cast<char>(data.size() >> (8 * at) & 0xff);
  return frame + data;
}

std::string digest(const std::string& data, const char* like = "") {
  layer::Digest hash(like);
  hash.update({reinterpret_cast<const uint8_t*>(data.data()), data.size()});
  return hash.text();
}

// Bytes that do not compress.
std::string noise(size_t size) {
  std::string bytes(size, '\0');
  uint32_t state = 12345;
  for (char& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

}  // namespace

TEST_CASE("sha-256 is right") {
  CHECK(digest("abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("H75: a blob's digest and its diff id may be of SHA-512, each for itself") {
  const std::string tar = Tar().file("f", noise(1000)).done();
  CHECK(digest("abc", "sha512:").starts_with("sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea2"));
  for (const std::string& blob : {tar, gzip(tar), zstd(tar)}) {
    for (const char* of_blob : {"", "sha512:"}) {
      for (const char* of_diff : {"", "sha512:"}) {
        Place place;
        place.request.expected = {digest(blob, of_blob), blob.size(), digest(tar, of_diff)};
        CHECK(place.unpack(blob));
        place.request.expected.diff_id = digest("other", of_diff);
        CHECK(!place.unpack(blob));
      }
    }
  }
}

TEST_CASE("every compression gives the same tree and diff id, whatever the media type says") {
  const std::string tar = Tar().file("f", noise(700000)).folder("d/").done() + std::string(9000, '\0');
  gz_header header = {};
  header.name = reinterpret_cast<Bytef*>(const_cast<char*>("layer.tar"));
  header.comment = reinterpret_cast<Bytef*>(const_cast<char*>("comment"));
  header.extra = reinterpret_cast<Bytef*>(const_cast<char*>("SG\x04\0abcd"));
  header.extra_len = 8;
  header.hcrc = 1;
  const std::vector<std::pair<const char*, std::string>> blobs = {
      {"plain", tar},
      {"gzip", gzip(tar)},
      {"gzip stored", gzip(tar, 0)},
      {"gzip with every header field", gzip(tar, 6, &header)},
      {"gzip members", gzip(tar.substr(0, 100)) + gzip("") + gzip(tar.substr(100, 333333)) + gzip(tar.substr(333433))},
      {"gzip and zeros", gzip(tar) + std::string(512, '\0')},
      {"gzip and junk", gzip(tar) + "junk"},
      {"gzip and an eStargz footer", gzip(tar) + gzip("", 0, &header)},
      {"gzip and half a magic", gzip(tar) + "\x1f"},
      {"zstd", zstd(tar)},
      {"zstd without checksum", zstd(tar, false)},
      {"zstd frames", zstd(tar.substr(0, 5)) + skippable("manifest") + zstd(tar.substr(5)) + skippable("footer")},
      {"zstd skippable first", skippable("") + zstd(tar)},
      {"zstd with a window of 8 MiB", zstd(tar, true, 23)},
  };
  for (const auto& named : blobs) {
    INFO(named.first);
    const std::string& blob = named.second;
    Place place;
    place.request.expected = {digest(blob), blob.size(), digest(tar)};
    place.request.media_type = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    const bool unpacked = place.unpack(blob);
    if (!unpacked) MESSAGE(place.failure->message);
    REQUIRE(unpacked);
    CHECK(place.content("f") == noise(700000));
    CHECK(place.result->digest == digest(blob));
    CHECK(place.result->size == blob.size());
    CHECK(place.result->diff_id == digest(tar));
    CHECK(place.result->diff_size == tar.size());
  }
}

TEST_CASE("members of every size meet chunks at every edge") {
  // Sized so that headers and trailers cross the 128 KiB chunks in which the blob is read.
  const std::string tar = Tar().file("f", noise(400000)).done();
  std::string blob;
  for (size_t at = 0; at < tar.size(); at += 997) blob += gzip(tar.substr(at, 997), 1);
  Place place;
  REQUIRE(place.unpack(blob));
  CHECK(place.result->diff_id == digest(tar));
}

namespace {

std::string inflated(const std::string& blob, size_t step) {
  Pieces source(blob, step);
  const auto inflater = layer::make_gzip_inflater(source);
  std::string out;
  std::string chunk(64, '\0');
  while (true) {
    auto size = inflater->read(reinterpret_cast<uint8_t*>(chunk.data()), chunk.size());
    if (!size) return "failed: " + size.failure().message;
    if (*size == 0) return out;
    out.append(chunk, 0, *size);
  }
}

}  // namespace

TEST_CASE("G61: gzip headers with any of their fields, cut anywhere, in any member") {
  for (unsigned fields = 0; fields < 16; fields++) {
    gz_header header = {};
    if ((fields & 1) != 0) header.name = reinterpret_cast<Bytef*>(const_cast<char*>("layer.tar"));
    if ((fields & 2) != 0) header.comment = reinterpret_cast<Bytef*>(const_cast<char*>("comment"));
    if ((fields & 4) != 0) header.extra = reinterpret_cast<Bytef*>(const_cast<char*>("SG\x04\0abcd"));
    if ((fields & 4) != 0) header.extra_len = 8;
    header.hcrc = static_cast<int>(fields >> 3);
    const std::string blob = gzip("one", 6, &header) + gzip("", 0, &header) + gzip("two", 6, &header);
    for (const size_t step : {1, 2, 3, 5, 11, 1000}) {
      INFO("fields " << fields << ", " << step << " bytes at a time");
      CHECK(inflated(blob, step) == "onetwo");
    }
    std::string broken = blob;
    broken[fields < 8 ? 2 : 9] ^= 0x40;  // the method; or what the header's checksum covers
    CHECK(inflated(broken, 3).starts_with("failed: gzip: "));
  }
}

TEST_CASE("damaged, cut and foreign streams are errors of inflating") {
  const std::string tar = Tar().file("f", noise(300000)).done();
  const auto flipped = [](std::string bytes, size_t at) {
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    return bytes;
  };
  const std::string gz = gzip(tar);
  const std::string zst = zstd(tar);
  const std::vector<std::pair<const char*, std::string>> blobs = {
      {"gzip crc", flipped(gz, gz.size() - 8)},
      {"gzip length", flipped(gz, gz.size() - 1)},
      {"gzip method", flipped(gz, 2)},
      {"gzip cut in the header", gz.substr(0, 6)},
      {"gzip cut in the data", gz.substr(0, 10000)},
      {"gzip cut in the trailer", gz.substr(0, gz.size() - 3)},
      {"second member", gz + gz.substr(0, 15)},
      {"zstd checksum", flipped(zst, zst.size() - 1)},
      {"zstd cut", zst.substr(0, 10000)},
      {"zstd cut at the end", zst.substr(0, zst.size() - 2)},
      {"zstd and junk", zst + "junk"},
      {"zstd with a dictionary", std::string("\x28\xb5\x2f\xfd\x23\5\0\0\0", 9) + zst.substr(9)},
      {"zstd window of 2 GiB", zstd(tar, true, 31)},
      {"xz", std::string("\xfd"
                         "7zXZ\0",
                         6) +
                 tar},
      {"bzip2", "BZh91AY&SY"},
  };
  for (const auto& named : blobs) {
    INFO(named.first);
    const std::string& blob = named.second;
    Place place;
    CHECK(!place.unpack(blob));
    REQUIRE(place.failure);
    CHECK(place.failure->step == "inflate");
    CHECK(place.untouched());
  }
  Place encrypted;
  encrypted.request.media_type = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted";
  CHECK(!encrypted.unpack(gz));
}

TEST_CASE("empty layers: no bytes, zero blocks, the well-known one") {
  Place nothing;
  CHECK(nothing.unpack(""));
  Place zeros;
  REQUIRE(zeros.unpack(gzip(std::string(1024, '\0'))));
  CHECK(zeros.result->diff_id == "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
  CHECK(zeros.result->entries == 0);
}

TEST_CASE("what was promised is checked: digest, size in both directions, diff id") {
  const std::string tar = Tar().file("f").done();
  const std::string blob = gzip(tar);
  const std::vector<layer::Expected> wrong = {
      {digest("other"), blob.size(), digest(tar)},
      {digest(blob), blob.size() + 1, digest(tar)},
      {digest(blob), blob.size() - 1, digest(tar)},
      {digest(blob), blob.size(), digest(blob)},
  };
  for (const layer::Expected& expected : wrong) {
    Place place;
    place.request.expected = expected;
    place.request.blob_file = place.outside("blob");
    CHECK(!place.unpack(blob));
    CHECK(place.failure->step == "verify");
    CHECK(access(place.outside("blob").c_str(), F_OK) != 0);
  }
  // Padding behind the end of the archive is part of the diff id.
  Place padded;
  padded.request.expected.diff_id = digest(tar + std::string(10240, '\0'));
  CHECK(padded.unpack(gzip(tar + std::string(10240, '\0'))));
}

TEST_CASE("the blob is kept byte for byte, and never over something that exists") {
  const std::string blob = gzip(Tar().file("f", noise(400000)).done()) + "junk";
  Place place;
  place.request.blob_file = place.outside("blob");
  place.request.sync = true;
  REQUIRE(place.unpack(blob));
  std::string kept(blob.size() + 1, '\0');
  const sys::Fd fd(open(place.outside("blob").c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(read(fd.get(), kept.data(), kept.size()) == static_cast<ssize_t>(blob.size()));
  kept.resize(blob.size());
  CHECK(kept == blob);
  Place taken;
  taken.request.blob_file = taken.outside("canary");
  CHECK(!taken.unpack(blob));
  CHECK(taken.failure->step == "keep blob");
  CHECK(taken.untouched());
}

TEST_CASE("bombs stop at the limit of bytes, entries, ratio and sparse size") {
  const std::string zeros(8 << 20, '\0');
  Place bytes;
  bytes.request.limits.bytes = 1 << 20;
  CHECK(!bytes.unpack(gzip(Tar().file("f", zeros).done())));
  CHECK(bytes.failure->step == "limit bytes");
  CHECK(bytes.failure->path == "f");
  Place ratio;
  ratio.request.limits.ratio_floor = 1 << 20;
  CHECK(!ratio.unpack(zstd(Tar().file("f", zeros).done())));
  CHECK(ratio.failure->step == "limit ratio");
  CHECK(ratio.failure->path == "f");
  Place entries;
  entries.request.limits.entries = 2;
  CHECK(!entries.unpack(Tar().file("a").file("b").file("c")));
  CHECK(entries.failure->step == "limit entries");
  CHECK(entries.failure->path == "c");
  Place sparse;
  CHECK(!sparse.unpack(
      Tar().pax({{"GNU.sparse.size", "9000000000000000000"}, {"GNU.sparse.map", "0,1"}}).file("f", "x")));
  CHECK(sparse.failure->step == "limit bytes");
  CHECK(sparse.failure->path == "f");
  Place ordinary;
  CHECK(ordinary.unpack(gzip(Tar().file("f", zeros).done())));
}

TEST_CASE("an error while the sender is silent ends at once; a sender that ends early is an error") {
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
  sys::Fd ours(pair[0]);
  const sys::Fd theirs(pair[1]);
  // More than a chunk, so that the reader goes on, and then nothing.
  std::string bytes = Tar().symlink("l", "").file("f", noise(200000)).open();
  std::thread sender([&] {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t wrote = send(ours.get(), bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (wrote > 0)
        sent += static_cast<size_t>(wrote);
      else
        usleep(100);
    }
  });
  Place place;
  place.request.input = theirs.get();
  auto outcome = layer::unpack(place.request, nullptr);
  sender.join();
  CHECK(!outcome);
  CHECK(outcome.failure().path == "l");

  int second[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, second) == 0);
  const sys::Fd input(second[1]);
  REQUIRE(write(second[0], "x", 1) == 1);
  close(second[0]);
  Place early;
  early.request.input = input.get();
  early.request.expected.size = 1000;
  auto short_outcome = layer::unpack(early.request, nullptr);
  REQUIRE(!short_outcome);
  CHECK(short_outcome.failure().step == "verify");
}

TEST_CASE("a full disk is an error that names the entry, and the blob is gone") {
  struct rlimit former = {};
  getrlimit(RLIMIT_FSIZE, &former);
  struct rlimit small = {100000, former.rlim_max};
  signal(SIGXFSZ, SIG_IGN);
  Place place;
  place.request.blob_file = place.outside("blob");
  const std::string blob = gzip(Tar().file("ok", noise(1000)).file("big", std::string(200000, 'b')).done(), 9);
  setrlimit(RLIMIT_FSIZE, &small);
  const bool unpacked = place.unpack(blob);
  setrlimit(RLIMIT_FSIZE, &former);
  CHECK(!unpacked);
  CHECK(place.failure->err == EFBIG);
  CHECK(place.failure->path == "big");
  CHECK(access(place.outside("blob").c_str(), F_OK) != 0);
}

TEST_CASE("progress is told at most ten times a second, and at the end in full") {
  const std::string blob = gzip(Tar().file("f", noise(3000000)).done());
  Place place;
  std::vector<layer::Progress> told;
  int pipes[2];
  REQUIRE(pipe2(pipes, O_CLOEXEC) == 0);
  std::thread sender([&] {
    for (size_t at = 0; at < blob.size();) {
      const ssize_t wrote = write(pipes[1], blob.data() + at, blob.size() - at);
      if (wrote < 0) break;
      at += static_cast<size_t>(wrote);
    }
    close(pipes[1]);
  });
  place.request.input = pipes[0];
  auto outcome = layer::unpack(place.request, [&](const layer::Progress& progress) { told.push_back(progress); });
  sender.join();
  close(pipes[0]);
  REQUIRE(outcome);
  REQUIRE(!told.empty());
  CHECK(told.back().read == blob.size());
  CHECK(told.back().written == outcome->diff_size);
  CHECK(told.size() < 20);
}
