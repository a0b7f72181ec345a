// The tar dialects, read through the whole path: what a header meant is seen in the tree.
#include "layer/tar_reader.h"
#include "layer_support.h"

using namespace layer_test;

namespace {

struct Read {
  std::vector<layer::Entry> entries;
  std::vector<std::string> data;
  std::string error;
};

Read read_all(const std::string& bytes, size_t step = 4096) {
  Pieces source(bytes, step);
  layer::TarReader reader(source);
  Read read;
  while (true) {
    layer::Entry entry;
    auto more = reader.next(entry);
    if (!more) {
      read.error = more.failure().step + ": " + more.failure().message;
      return read;
    }
    if (!*more) return read;
    read.entries.push_back(entry);
    std::string data;
    while (true) {
      auto piece = reader.data();
      if (!piece) {
        read.error = piece.failure().step + ": " + piece.failure().message;
        return read;
      }
      if (piece->bytes.empty()) break;
      data.resize(std::max<size_t>(data.size(), piece->offset), '.');
      data.append(piece->bytes.begin(), piece->bytes.end());
    }
    read.data.push_back(data);
  }
}

Fields named(const std::string& name) {
  Fields fields;
  fields.name = name;
  return fields;
}

bool fails(const std::string& bytes, const std::string& words) {
  const std::string error = read_all(bytes).error;
  INFO(error);
  return error.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("ustar names: full prefix and name, V7, GNU, star, and the headers of Go before 1.8") {
  Fields full = named(std::string(100, 'n'));
  full.prefix = std::string(155, 'p');
  Fields v7 = named("old/");
  v7.magic = std::string(8, '\0');
  v7.flag = '\0';
  Fields gnu = named("gnu");
  gnu.magic = std::string("ustar  \0", 8);
  gnu.patches = {{345, "00000000017"}, {357, "00000000017"}};  // atime and ctime
  Fields go17 = named("file");
  go17.magic = gnu.magic;
  go17.prefix = "a/prefix/in/a/gnu/header";
  Fields star = named("s");
  star.prefix = "star";
  star.patches = {{476, "00000000020 "}, {508, std::string("tar\0", 4)}};
  const Read read = read_all(Tar().add(full).add(v7).add(gnu).add(go17).add(star).done());
  REQUIRE(read.error.empty());
  REQUIRE(read.entries.size() == 5);
  CHECK(read.entries[0].name == std::string(155, 'p') + "/" + std::string(100, 'n'));
  CHECK(read.entries[1].type == layer::EntryType::kDirectory);
  CHECK(read.entries[2].name == "gnu");
  CHECK(read.entries[2].accessed->seconds == 15);
  CHECK(read.entries[3].name == "a/prefix/in/a/gnu/header/file");
  CHECK(read.entries[4].name == "star/s");
  CHECK(read.entries[4].accessed->seconds == 16);
}

TEST_CASE("numbers: octal with any padding, base-256, and what is neither") {
  Fields fields = named("f");
  fields.uid = base256(3'000'000'000, 8);
  fields.gid = "  17  ";
  fields.mtime = base256(-5, 12);
  fields.mode = "0104755";  // with the type of the file
  const Read read = read_all(Tar().add(fields).done());
  REQUIRE(read.error.empty());
  CHECK(read.entries[0].uid == 3'000'000'000);
  CHECK(read.entries[0].gid == 15);
  CHECK(read.entries[0].modified.seconds == -5);
  CHECK(read.entries[0].mode == 04755);

  const auto with = [](auto change) {
    Fields broken = named("f");
    change(broken);
    return Tar().add(broken).done();
  };
  CHECK(fails(with([](Fields& f) { f.uid = "00000x0"; }), "uid"));
  CHECK(fails(with([](Fields& f) { f.uid = base256(4294967295, 8); }), "out of range"));  // chown's "leave it"
  CHECK(fails(with([](Fields& f) { f.gid = base256(-2, 8); }), "negative"));
  CHECK(fails(with([](Fields& f) { f.raw_size = base256(-1, 12); }), "size"));
  CHECK(fails(with([](Fields& f) { f.raw_size = "-0000000001"; }), "size"));
  CHECK(fails(with([](Fields& f) { f.raw_size = "\x80\x01" + std::string(10, '\0'); }), "size"));  // over 64 bits
  CHECK(fails(with([](Fields& f) { f.mode = "0008000"; }), "mode"));
}

TEST_CASE("the checksum may be of signed or unsigned bytes, and no other") {
  Fields fields = named("\xc3\xa9");
  fields.signed_checksum = true;
  CHECK(read_all(Tar().add(fields).done()).entries.size() == 1);
  fields.bad_checksum = true;
  CHECK(fails(Tar().add(fields).done(), "checksum"));
  CHECK(fails(std::string(600, 'h'), "no tar archive"));
}

TEST_CASE("long names: PAX before GNU before the header, extension headers keep their own size") {
  const std::string nul(1, '\0');
  CHECK(read_all(Tar().meta('L', "gnu" + nul).file("short").done()).entries[0].name == "gnu");
  CHECK(read_all(Tar().meta('L', "gnu" + nul).pax({{"path", "pax"}}).file("short").done()).entries[0].name == "pax");
  CHECK(read_all(Tar().pax({{"path", "pax"}}).meta('L', "gnu" + nul).file("short").done()).entries[0].name == "pax");
  CHECK(read_all(Tar().meta('L', "one" + nul).meta('L', "two" + nul).file("short").done()).entries[0].name == "two");
  CHECK(read_all(Tar().pax({{"path", ""}}).file("short").done()).entries[0].name == "short");
  // CVE-2026-53655: the size belongs to the file, not to the long name in between.
  const Read read = read_all(
      Tar().pax({{"size", "600"}}).meta('L', "gnu" + nul).file("short", std::string(600, 'd')).file("next").done());
  CHECK(read.error == "");
  REQUIRE(read.entries.size() == 2);
  CHECK(read.data[0] == std::string(600, 'd'));
  CHECK(read.entries[1].name == "next");
  CHECK(read_all(Tar().meta('K', std::string(300, 'l') + nul).symlink("s", "short").done()).entries[0].link ==
        std::string(300, 'l'));
  CHECK(fails(Tar().pax({{"path", "lonely"}}).done(), "middle"));
}

TEST_CASE("PAX records: overrides, binary values, both spellings of attributes, and nothing that is broken") {
  const std::string binary("a\0b\n=c", 6);
  const Read read = read_all(Tar()
                                 .pax({{"uid", "4294967294"},
                                       {"gid", "70000"},
                                       {"mtime", "-1.5"},
                                       {"atime", "17.123456789123"},
                                       {"uname", "ignored"},
                                       {"comment", ""},
                                       {"LIBARCHIVE.xattr.user.b%2fc", "AAEC/w"},
                                       {"SCHILY.xattr.user.a", binary}})
                                 .file("f")
                                 .done());
  REQUIRE(read.error == "");
  const layer::Entry& entry = read.entries.at(0);
  CHECK(entry.uid == 4294967294);
  CHECK(entry.gid == 70000);
  CHECK(entry.modified.seconds == -2);
  CHECK(entry.modified.nanoseconds == 500'000'000);
  CHECK(entry.accessed->nanoseconds == 123'456'789);
  REQUIRE(entry.xattrs.size() == 2);
  CHECK(entry.xattrs[0].name == "user.b/c");
  CHECK(entry.xattrs[0].value == std::string("\0\1\2\xff", 4));
  CHECK(entry.xattrs[1].value == binary);

  for (const char* text :
       {"5 a=b\n", "7 a=b\n", "x a=b\n", "6 =bc\n", "6 abc\n", "6 a=bc", "-6 a=b\n", "99 a=b\n", "0 \n", "3 \n"}) {
    CHECK_MESSAGE(fails(Tar().pax_text(text).file("f").done(), "extended header"), text);
  }
  CHECK(fails(Tar().pax({{"path", std::string("a\0b", 3)}}).file("f").done(), "NUL"));
  CHECK(fails(Tar().pax({{"size", "-1"}}).file("f").done(), "size"));
  CHECK(fails(Tar().pax({{"size", "9223372036854775808"}}).file("f").done(), "size"));
  CHECK(fails(Tar().pax({{"uid", "4294967295"}}).file("f").done(), "uid"));
  CHECK(fails(Tar().pax({{"mtime", "1.x"}}).file("f").done(), "mtime"));
}

TEST_CASE("a global header has no effect and makes no file; meta data is bounded") {
  const Read read = read_all(Tar().pax({{"path", "evil"}, {"comment", "0123"}}, 'g').file("f").done());
  REQUIRE(read.entries.size() == 1);
  CHECK(read.entries[0].name == "f");
  CHECK(fails(Tar().meta('L', std::string(1048577, 'a')).file("f").done(), "limit"));
  Fields huge = named("x");
  huge.flag = 'x';
  huge.size = 1ULL << 32;
  CHECK(fails(Tar().add(huge).done(), "limit"));
  std::string many;
  for (int at = 0; at < 2000; at++) many += pax_records({{"SCHILY.xattr.user.a" + std::to_string(at), "v"}});
  CHECK(fails(Tar().pax_text(many).file("f").done(), "limit"));
}

TEST_CASE("types: contiguous files, labels, dump folders, data behind folders and links, unknown ones") {
  Fields contiguous = named("c");
  contiguous.flag = '7';
  Fields label = named("label");
  label.flag = 'V';
  Fields dump = named("d/");
  dump.flag = 'D';
  Fields link = named("l");
  link.flag = '1';
  link.link = "c";
  link.size = 4096;  // old tars put the file's size here, and no data
  const Read read = read_all(Tar().add(label).add(contiguous, "data").add(dump, "Yc").add(link).file("end").done());
  CHECK(read.error == "");
  REQUIRE(read.entries.size() == 4);
  CHECK(read.data[0] == "data");
  CHECK(read.entries[1].type == layer::EntryType::kDirectory);
  CHECK(read.entries[2].type == layer::EntryType::kHardlink);
  CHECK(read.entries[3].name == "end");
  for (const char flag : {'M', 'N', 'Z', '\x80'}) {
    Fields unknown = named("u");
    unknown.flag = flag;
    CHECK(fails(Tar().add(unknown).done(), "unknown type"));
  }
  CHECK(fails(Tar().node("d", '3', 4096, 1).done(), "device number"));
  CHECK(fails(Tar().node("d", '4', 1, 1048576).done(), "device number"));
  Fields wide = named("d");
  wide.flag = '3';
  wide.major = base256(1LL << 40, 8);
  CHECK(fails(Tar().add(wide).done(), "device number"));
}

TEST_CASE("sparse files: old GNU with an extension block, PAX 0.0, 0.1 and 1.0") {
  Fields old = named("old");
  old.flag = 'S';
  old.magic = std::string("ustar  \0", 8);
  old.patches[386] = octal(2, 11) + std::string(1, '\0') + octal(2, 11);
  old.patches[410] = octal(6, 11) + std::string(1, '\0') + octal(1, 11);
  old.patches[482] = "\1";
  old.patches[483] = octal(20, 11);
  old.size = 5;
  std::string extension(512, '\0');
  extension.replace(0, 11, octal(9, 11));
  extension.replace(12, 11, octal(2, 11));
  const Tar gnu = Tar().add(old).raw(extension).raw("abcde" + std::string(507, '\0')).file("after");
  for (const size_t step : {1, 7, 512, 10000}) {
    const Read read = read_all(gnu.done(), step);
    REQUIRE(read.error == "");
    CHECK(read.data[0] == "..ab..c..de");
    CHECK(read.entries[0].size == 20);
    CHECK(read.entries[1].name == "after");
  }

  const Records format00 = {{"GNU.sparse.size", "20"},    {"GNU.sparse.numblocks", "2"}, {"GNU.sparse.offset", "2"},
                            {"GNU.sparse.numbytes", "2"}, {"GNU.sparse.offset", "6"},    {"GNU.sparse.numbytes", "1"}};
  const Records format01 = {{"GNU.sparse.size", "20"}, {"GNU.sparse.map", "2,2,6,1"}, {"GNU.sparse.name", "real"}};
  const Records format10 = {
      {"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.name", "real"}, {"GNU.sparse.realsize", "20"}};
  std::string map = "2\n2\n2\n6\n1\n";
  map.resize(512, '\0');
  for (const auto& [records, data] :
       {std::pair(format00, std::string("abc")), {format01, "abc"}, {format10, map + "abc"}}) {
    const Read read = read_all(Tar().pax(records).file("GNUSparseFile.1/real", data).file("after").done(), 100);
    REQUIRE(read.error == "");
    CHECK(read.data[0] == "..ab..c");
    CHECK(read.entries[0].size == 20);
    CHECK(read.entries[1].name == "after");
  }
  CHECK(read_all(Tar().pax(format10).file("GNUSparseFile.1/real", map + "abc").done()).entries[0].name == "real");

  for (const char* bad : {"2,2,1,1", "2,2,6", "2,9,30,1", "2,1,6,1", "2,2,6,x", "9223372036854775807,2,6,1"}) {
    CHECK_MESSAGE(!read_all(Tar().pax({{"GNU.sparse.size", "20"}, {"GNU.sparse.map", bad}}).file("f", "abc").done())
                       .error.empty(),
                  bad);
  }
  CHECK(fails(Tar().pax(format10).file("f", std::string(512, '9')).done(), "map"));
  CHECK(fails(Tar().pax(format10).file("f", "99999999\n").done(), "map"));
}

TEST_CASE("the end: two zero blocks, one, none, within an entry, and what follows") {
  const Tar tar = Tar().file("f", "data");
  CHECK(read_all(tar.open()).entries.size() == 1);
  CHECK(read_all(tar.open()).error == "");
  CHECK(read_all(tar.open() + std::string(512, '\0')).error == "");
  CHECK(read_all(tar.done() + "junk").error == "");
  CHECK(read_all(tar.done() + Tar().file("hidden").done()).entries.size() == 1);
  CHECK(read_all("").error == "");
  CHECK(fails(tar.open() + std::string(512, '\0') + tar.done(), "zero block"));
  for (const size_t cut : {1, 511, 513, 1023}) {
    CHECK_MESSAGE(fails(tar.open().substr(0, cut), "middle"), cut);
  }
}

TEST_CASE("however the bytes arrive, the archive reads the same") {
  const std::string bytes = Tar()
                                .folder("d/")
                                .pax({{"path", std::string(300, 'p')}})
                                .file("f", std::string(1500, 'x'))
                                .symlink("s", "t")
                                .done();
  for (const size_t step : {1, 2, 3, 511, 512, 513, 100000}) {
    const Read read = read_all(bytes, step);
    CHECK(read.error == "");
    REQUIRE(read.entries.size() == 3);
    CHECK(read.entries[1].name == std::string(300, 'p'));
    CHECK(read.data[1] == std::string(1500, 'x'));
  }
}
