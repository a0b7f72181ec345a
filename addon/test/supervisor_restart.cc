#include <optional>
#include <vector>

#include <doctest/doctest.h>
#include "supervisor/restart_policy.h"

using supervisor::RestartConfig;
using supervisor::RestartPolicy;

TEST_CASE("the back-off doubles from 100 ms to a minute, and begins anew after a run of 10 s") {
  RestartPolicy policy({RestartConfig::Policy::kAlways, 0});
  std::vector<int64_t> delays;
  for (int i = 0; i < 12; i++) delays.push_back(policy.next(0, 0).value_or(-1));
  CHECK(delays == std::vector<int64_t>{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000});
  CHECK(policy.next(0, 9'999) == 60'000);
  CHECK(policy.next(0, 10'000) == 100);
  CHECK(policy.next(0, 0) == 200);
  CHECK(policy.count() == 15);
  policy.begin();
  CHECK(policy.count() == 0);
  CHECK(policy.next(1, 0) == 100);
}

TEST_CASE("on-failure restarts failures only, and so many times") {
  RestartPolicy policy({RestartConfig::Policy::kOnFailure, 2});
  CHECK_FALSE(policy.next(0, 0));
  CHECK(policy.next(3, 0) == 100);
  CHECK(policy.next(137, 0) == 200);
  CHECK_FALSE(policy.next(3, 0));
  CHECK(policy.count() == 2);
  RestartPolicy endless({RestartConfig::Policy::kOnFailure, 0});
  for (int i = 0; i < 100; i++) CHECK(endless.next(1, 0));
}

TEST_CASE("an explicit end holds until the next start") {
  for (const auto kind : {RestartConfig::Policy::kAlways, RestartConfig::Policy::kUnlessStopped}) {
    RestartPolicy policy({kind, 0});
    CHECK(policy.next(0, 0) == 100);
    policy.end();
    CHECK_FALSE(policy.next(1, 0));
    policy.begin();
    CHECK(policy.next(0, 0) == 100);
  }
  RestartPolicy none({});
  CHECK_FALSE(none.next(1, 0));
}

TEST_CASE("another policy counts on from where the first one was") {
  RestartPolicy policy({RestartConfig::Policy::kAlways, 0});
  CHECK(policy.next(1, 0) == 100);
  policy.change({RestartConfig::Policy::kOnFailure, 1});
  CHECK_FALSE(policy.next(1, 0));
  policy.change({RestartConfig::Policy::kAlways, 0});
  CHECK(policy.next(1, 0) == 200);
}
