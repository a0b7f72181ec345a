#include "jail/spec.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>

#include "jail/spec_process.h"
#include "jail/spec_resources.h"
#include "sys/json.h"
#include "sys/kernel.h"

namespace jail {
namespace {

using sys::Json;
using sys::JsonReader;

struct NamedFlag {
  const char* name;
  int flag;
};

constexpr NamedFlag kNamespaces[] = {
    {"pid", CLONE_NEWPID}, {"network", CLONE_NEWNET}, {"mount", CLONE_NEWNS},      {"ipc", CLONE_NEWIPC},
    {"uts", CLONE_NEWUTS}, {"user", CLONE_NEWUSER},   {"cgroup", CLONE_NEWCGROUP},
};

void read_namespaces(JsonReader& reader, const Json* linux_section, Spec& spec) {
  const Json* list = reader.array(linux_section, "namespaces");
  if (list == nullptr) return;
  for (const Json& item : list->GetArray()) {
    const std::string type = reader.text(&item, "type");
    const auto* known = std::find_if(std::begin(kNamespaces), std::end(kNamespaces),
                                     [&](const NamedFlag& entry) { return type == entry.name; });
    if (known == std::end(kNamespaces)) {
      reader.fail("linux.namespaces: unknown type '" + type + "'");
      return;
    }
    if (spec.find_namespace(known->flag) != nullptr) {
      reader.fail("linux.namespaces: '" + type + "' is listed twice");
      return;
    }
    spec.namespaces.push_back({known->flag, reader.text(&item, "path")});
  }
}

void read_stack(JsonReader& reader, const Json* stacks, Mount& mount) {
  const Json* stack = reader.object(stacks, mount.destination.c_str());
  if (stack == nullptr) return;
  mount.lower = reader.texts(stack, "lower");
  mount.work = reader.text(stack, "work");
  if (mount.type != "bind" || mount.lower.empty() || mount.work.empty()) {
    reader.fail("dinghy.stacks: '" + mount.destination + "' needs a bind mount, lower and work");
  }
}

void read_mounts(JsonReader& reader, const Json* root, const Json* dinghy, Spec& spec) {
  const Json* list = reader.array(root, "mounts");
  if (list == nullptr) return;
  const std::vector<std::string> copy_up = reader.texts(dinghy, "copyUp");
  const Json* subpaths = reader.object(dinghy, "subpaths");
  const Json* stacks = reader.object(dinghy, "stacks");
  for (const Json& item : list->GetArray()) {
    Mount mount;
    mount.destination = reader.text(&item, "destination");
    mount.type = reader.text(&item, "type");
    mount.source = reader.text(&item, "source");
    mount.options = reader.texts(&item, "options");
    if (mount.destination.empty() || mount.destination[0] != '/') {
      reader.fail("mounts: destination '" + mount.destination + "' must be absolute");
    }
    for (const std::string& option : mount.options) {
      if (option == "bind" || option == "rbind") mount.type = "bind";
    }
    if (mount.type.empty() || mount.type == "none") mount.type = "bind";
    mount.copy_up = std::find(copy_up.begin(), copy_up.end(), mount.destination) != copy_up.end();
    mount.subpath = reader.text(subpaths, mount.destination.c_str());
    read_stack(reader, stacks, mount);
    spec.mounts.push_back(std::move(mount));
  }
}

void read_devices(JsonReader& reader, const Json* linux_section, Spec& spec) {
  const Json* list = reader.array(linux_section, "devices");
  if (list == nullptr) return;
  for (const Json& item : list->GetArray()) {
    Device device;
    device.path = reader.text(&item, "path");
    const std::string type = reader.text(&item, "type");
    if (device.path.rfind("/dev/", 0) != 0) reader.fail("linux.devices: path '" + device.path + "' must be under /dev");
    if (type != "c" && type != "b" && type != "u" && type != "p") {
      reader.fail("linux.devices: unknown type '" + type + "'");
      return;
    }
    device.type = type == "u" ? 'c' : type[0];
    device.major = static_cast<unsigned>(reader.integer(&item, "major", 0, 0xfff).value_or(0));
    device.minor = static_cast<unsigned>(reader.integer(&item, "minor", 0, 0xfffff).value_or(0));
    device.mode = static_cast<mode_t>(reader.integer(&item, "fileMode", 0, 07777).value_or(0666));
    device.uid = static_cast<uid_t>(reader.integer(&item, "uid", 0, 0xfffffffe).value_or(0));
    device.gid = static_cast<gid_t>(reader.integer(&item, "gid", 0, 0xfffffffe).value_or(0));
    spec.devices.push_back(std::move(device));
  }
}

void read_rootfs(JsonReader& reader, const Json* root, const Json* dinghy, Spec& spec) {
  const Json* oci = reader.object(root, "root");
  spec.rootfs.path = reader.text(oci, "path");
  spec.rootfs.read_only = reader.flag(oci, "readonly");
  const Json* own = reader.object(dinghy, "rootfs");
  if (own == nullptr) {
    if (spec.rootfs.path.empty() || spec.rootfs.path[0] != '/') reader.fail("root.path must be absolute");
    return;
  }
  if (reader.text(own, "type") != "overlay") reader.fail("dinghy.rootfs.type must be 'overlay'");
  spec.rootfs.lower = reader.texts(own, "lower");
  spec.rootfs.upper = reader.text(own, "upper");
  spec.rootfs.work = reader.text(own, "work");
  spec.rootfs.is_volatile = reader.flag(own, "volatile");
  spec.rootfs.userxattr = reader.flag(own, "userxattr");
  const auto layers = static_cast<int64_t>(spec.rootfs.lower.size());
  spec.rootfs.frozen = static_cast<size_t>(reader.integer(own, "frozen", 0, layers).value_or(0));
  if (spec.rootfs.lower.empty()) reader.fail("dinghy.rootfs.lower must not be empty");
  if (spec.rootfs.upper.empty() != spec.rootfs.work.empty()) {
    reader.fail("dinghy.rootfs: upper and work must be given together");
  }
}

void read_sysctls(JsonReader& reader, const Json* linux_section, Spec& spec) {
  const Json* map = reader.object(linux_section, "sysctl");
  if (map == nullptr) return;
  for (const auto& entry : map->GetObject()) {
    const std::string name(entry.name.GetString(), entry.name.GetStringLength());
    spec.sysctls.emplace_back(name, reader.text(map, name.c_str()));
  }
}

}  // namespace

const Namespace* Spec::find_namespace(int flag) const {
  for (const Namespace& entry : namespaces) {
    if (entry.flag == flag) return &entry;
  }
  return nullptr;
}

sys::Result<Spec> parse_spec(std::string_view json) {
  rapidjson::Document document;
  SYS_TRY(sys::parse_json(document, json));
  JsonReader reader("config.json");
  if (!document.IsObject()) return sys::error("config.json", "must be an object", EINVAL);
  const Json* root = &document;
  const Json* linux_section = reader.object(root, "linux");
  const Json* dinghy = reader.object(root, "dinghy");

  Spec spec;
  read_process(reader, reader.object(root, "process"), spec.process);
  read_process_extras(reader, dinghy, spec.process);
  spec.process.create_cwd = true;
  read_rootfs(reader, root, dinghy, spec);
  spec.hostname = reader.text(root, "hostname");
  spec.domainname = reader.text(root, "domainname");
  read_namespaces(reader, linux_section, spec);
  read_mounts(reader, root, dinghy, spec);
  read_devices(reader, linux_section, spec);
  read_resources(reader, reader.object(linux_section, "resources"), spec.resources);
  spec.cgroups_path = reader.text(linux_section, "cgroupsPath");
  read_sysctls(reader, linux_section, spec);
  spec.masked_paths = reader.texts(linux_section, "maskedPaths");
  spec.readonly_paths = reader.texts(linux_section, "readonlyPaths");
  spec.init = reader.flag(dinghy, "init");
  spec.rootless = sys::json_member(dinghy, "rootless") != nullptr;
  SYS_TRY(reader.done());
  return spec;
}

}  // namespace jail
