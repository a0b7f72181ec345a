// Another config.json for a bundle that has one: written beside it first, so that what fails on the way leaves the old.
#pragma once

#include <string>

#include "sys/json.h"
#include "sys/result.h"

namespace supervisor {

// What the bundle's config.json says now.
sys::Result<void> load_config(const std::string& bundle, rapidjson::Document& config);

// `config` lies beside it; with `sync` it survives a power cut. The result is its text.
sys::Result<std::string> draft_config(const std::string& bundle, const rapidjson::Document& config, bool sync);
// The draft takes its place, or is gone.
sys::Result<void> adopt_draft(const std::string& bundle);
void drop_draft(const std::string& bundle);

// As adopt_draft(), but the old one is kept, without a byte of the disk, until it is restored or forgotten.
sys::Result<void> try_draft(const std::string& bundle);
void restore_config(const std::string& bundle);
void forget_old_config(const std::string& bundle);

using JsonAllocator = rapidjson::Document::AllocatorType;

// The member `name`, an object, made when it is not there.
sys::Json& object_in(sys::Json& parent, const char* name, JsonAllocator& allocator);
// The member `name` is a copy of `value`.
void set_member(sys::Json& object, const char* name, const sys::Json& value, JsonAllocator& allocator);

}  // namespace supervisor
