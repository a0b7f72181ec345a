// Whole containers, started the way the supervisor starts them. Needs root.
#include <doctest/doctest.h>

#include "test/jail_support.h"

using jail_test::default_spec;
using jail_test::Outcome;
using jail_test::run;
using jail_test::Sandbox;

TEST_CASE("a command runs and its output and exit code come back") {
  const Sandbox sandbox;
  const Outcome outcome = run(default_spec(sandbox, {"sh", "-c", "echo $$; hostname; exit 7"}));
  CHECK(outcome.error.step == "");
  CHECK(outcome.error.message == "");
  CHECK(outcome.out == "1\nharbour\n");
  CHECK(outcome.code == 7);
}
