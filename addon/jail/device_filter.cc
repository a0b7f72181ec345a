#include "jail/device_filter.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

#include "sys/fd.h"

namespace jail {
namespace {

enum Register : uint8_t {
  kResult = BPF_REG_0,
  kContext = BPF_REG_1,
  kType = BPF_REG_2,
  kAccess = BPF_REG_3,
  kMajor = BPF_REG_4,
  kMinor = BPF_REG_5,
  kScratch = BPF_REG_6
};

bpf_insn instruction(uint8_t code, uint8_t destination, uint8_t source, int16_t offset, int32_t immediate) {
  bpf_insn result{};
  result.code = code;
  result.dst_reg = destination & 0xfU;
  result.src_reg = source & 0xfU;
  result.off = offset;
  result.imm = immediate;
  return result;
}

bpf_insn load(Register destination, size_t offset) {
  return instruction(BPF_LDX | BPF_MEM | BPF_W, destination, kContext, static_cast<int16_t>(offset), 0);
}
bpf_insn set(Register destination, int32_t value) {
  return instruction(BPF_ALU64 | BPF_MOV | BPF_K, destination, 0, 0, value);
}
bpf_insn copy(Register destination, Register source) {
  return instruction(BPF_ALU | BPF_MOV | BPF_X, destination, source, 0, 0);
}
bpf_insn bits(uint8_t operation, Register destination, int32_t value) {
  return instruction(BPF_ALU | operation | BPF_K, destination, 0, 0, value);
}
bpf_insn leave() { return instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

// The tests of one rule, each of which jumps to the next rule when it does not hold.
class RuleCode {
 public:
  void skip_unless(uint8_t comparison, Register value, int32_t immediate) {
    jumps_.push_back(code_.size());
    code_.push_back(instruction(BPF_JMP32 | comparison | BPF_K, value, 0, 0, immediate));
  }
  void add(const bpf_insn& one) { code_.push_back(one); }

  // All jumps lead past the end.
  std::vector<bpf_insn> finish() {
    for (const size_t at : jumps_) code_[at].off = static_cast<int16_t>(code_.size() - at - 1);
    return std::move(code_);
  }

 private:
  std::vector<bpf_insn> code_;
  std::vector<size_t> jumps_;
};

std::vector<bpf_insn> rule_code(const DeviceRule& rule) {
  RuleCode code;
  if (rule.type != 'a') code.skip_unless(BPF_JNE, kType, rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
  const int32_t access = (rule.mknod ? BPF_DEVCG_ACC_MKNOD : 0) | (rule.read ? BPF_DEVCG_ACC_READ : 0) |
                         (rule.write ? BPF_DEVCG_ACC_WRITE : 0);
  code.add(copy(kScratch, kAccess));
  if (rule.allow) {
    // Allowed only if nothing beyond these ways of access is wanted.
    code.add(bits(BPF_AND, kScratch, ~access & 7));
    code.skip_unless(BPF_JNE, kScratch, 0);
  } else {
    // Denied as soon as one of these ways is wanted.
    code.add(bits(BPF_AND, kScratch, access));
    code.skip_unless(BPF_JEQ, kScratch, 0);
  }
  if (rule.major >= 0) code.skip_unless(BPF_JNE, kMajor, static_cast<int32_t>(rule.major));
  if (rule.minor >= 0) code.skip_unless(BPF_JNE, kMinor, static_cast<int32_t>(rule.minor));
  code.add(set(kResult, rule.allow ? 1 : 0));
  code.add(leave());
  return code.finish();
}

long bpf(int command, union bpf_attr& attributes) { return syscall(SYS_bpf, command, &attributes, sizeof attributes); }

}  // namespace

std::string v1_device_rule(const DeviceRule& rule) {
  const auto number = [](int64_t value) { return value < 0 ? std::string("*") : std::to_string(value); };
  // "a" stands for everything and takes no numbers.
  if (rule.type == 'a' && rule.major < 0 && rule.minor < 0) return "a *:* rwm";
  std::string text(1, rule.type);
  text += " " + number(rule.major) + ":" + number(rule.minor) + " ";
  if (rule.read) text += 'r';
  if (rule.write) text += 'w';
  if (rule.mknod) text += 'm';
  return text;
}

std::vector<bpf_insn> device_program(const std::vector<DeviceRule>& rules) {
  std::vector<bpf_insn> program = {
      // access_type: the type in the low 16 bits, the access in the high ones.
      load(kType, offsetof(bpf_cgroup_dev_ctx, access_type)),   bits(BPF_AND, kType, 0xffff),
      load(kAccess, offsetof(bpf_cgroup_dev_ctx, access_type)), bits(BPF_RSH, kAccess, 16),
      load(kMajor, offsetof(bpf_cgroup_dev_ctx, major)),        load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)),
  };
  for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
    const std::vector<bpf_insn> code = rule_code(*rule);
    program.insert(program.end(), code.begin(), code.end());
    // A rule for everything ends the list: what would follow is unreachable, which the verifier refuses.
    if (rule->type == 'a' && rule->major < 0 && rule->minor < 0 && rule->read && rule->write && rule->mknod) break;
  }
  program.push_back(set(kResult, 0));
  program.push_back(leave());
  return program;
}

sys::Result<void> attach_device_filter(int folder, const std::vector<DeviceRule>& rules) {
  const std::vector<bpf_insn> program = device_program(rules);
  constexpr char kLicense[] = "MIT";
  union bpf_attr load_attributes {};
  load_attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load_attributes.insns = reinterpret_cast<uint64_t>(program.data());
  load_attributes.insn_cnt = static_cast<uint32_t>(program.size());
  load_attributes.license = reinterpret_cast<uint64_t>(kLicense);
  const sys::Fd fd(static_cast<int>(bpf(BPF_PROG_LOAD, load_attributes)));
  if (!fd) return sys::errno_error("device filter");
  union bpf_attr attach_attributes {};
  attach_attributes.target_fd = static_cast<uint32_t>(folder);
  attach_attributes.attach_bpf_fd = static_cast<uint32_t>(fd.get());
  attach_attributes.attach_type = BPF_CGROUP_DEVICE;
  // Programs of parents, such as systemd's, stay in force besides this one.
  attach_attributes.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf(BPF_PROG_ATTACH, attach_attributes) != 0) return sys::errno_error("device filter");
  return {};
}

}  // namespace jail
