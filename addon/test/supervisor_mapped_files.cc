// What /proc/<pid>/maps tells of shared memory.
#include "supervisor/mapped_files.h"

#include "layer_support.h"

TEST_CASE("files that are mapped shared are found, whatever their names; nothing else is") {
  const auto found = supervisor::shared_mappings(
      "55d0c0000000-55d0c0021000 r--p 00000000 fe:00 131 /bin/busybox\n"
      "7f1200000000-7f1200001000 rw-s 00000000 00:2a 77                         /var/lib/db file\n"
      "7f1200001000-7f1200002000 r--s 00001000 00:2a 78 /odd\\012name (deleted)\n"
      "7f1200002000-7f1200003000 rw-s 00000000 00:01 0 /no inode\n"
      "7f1200003000-7f1200004000 rw-s 00000000 00:01 5 anon\n"
      "7f1200004000-7f1200005000 rw-p 00000000 00:00 0 [heap]\n"
      "7f1200005000-7f1200006000 rw-s\n"
      "rw-s\n"
      "\n"
      "7f1200006000-7f1200007000 rw-s 00000000 00:2a 79 /last");
  REQUIRE(found.size() == 3);
  CHECK(found[0].inode == 77);
  CHECK(found[0].path == "var/lib/db file");
  CHECK(found[1].inode == 78);
  CHECK(found[1].path == "odd\\012name (deleted)");
  CHECK(found[2].inode == 79);
}
