// A container in the network of another.
#include <cerrno>
#include <utility>

#include "supervisor/container.h"

namespace supervisor {
namespace {

constexpr size_t kShortId = 12;

}  // namespace

sys::Result<void> Container::borrow_network() {
  const std::string lender = config_.network.lender.substr(0, kShortId);
  // The same error, saying who it is that must be started.
  const auto named = [lender](sys::Error failure) {
    failure.message = "container " + lender + ", whose network it shares: " + failure.message;
    return failure;
  };
  auto asked = loan_.ask(config_.network.lender_socket, [this, named](sys::Result<Loan> loan) {
    if (!loan) return fail_start(named(loan.take_failure()));
    network_.adopt(std::move(loan->network), config_.spec, std::move(loan->address));
    auto begun = begin_start();
    if (!begun) fail_start(begun.failure());
  });
  return asked ? asked : named(asked.take_failure());
}

sys::Result<int> Container::lend_network() {
  const int network = active() ? network_.lend() : -1;
  if (network < 0) return sys::error("network", "the container does not run", ESRCH);
  return network;
}

}  // namespace supervisor
