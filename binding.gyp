# The same sources as addon/CMakeLists.txt, for people who build with node-gyp:  npx node-gyp rebuild
# Not in the published package: npm would run it by itself ("gypfile": false keeps it from doing so in a clone).
{
  'variables': {
    'core_flags': ['-O2', '-Wall', '-Wextra', '-fno-exceptions', '-fno-rtti', '-ffunction-sections', '-fdata-sections',
                   '-fstack-protector-strong', '-std=gnu++20', '-D_GNU_SOURCE', '-D_FILE_OFFSET_BITS=64', '-iquote', '<(module_root_dir)/addon'],
    'generated': '<(SHARED_INTERMEDIATE_DIR)/dinghy',
  },
  'targets': [
    {
      'target_name': 'seccomp-generate',
      'type': 'executable',
      # After Node's own, which ask for an older standard: the last one counts.
      'cflags_cc': ['<@(core_flags)'],
      'sources': ['addon/jail/seccomp/generate.cc',
                  '<!@(ls addon/jail/seccomp/profile*.cc addon/jail/seccomp/compile.cc addon/jail/seccomp/filter.cc)'],
      'libraries': ['-l:libseccomp.a'],
    },
    {
      'target_name': 'seccomp-default',
      'type': 'none',
      'dependencies': ['seccomp-generate'],
      'actions': [{
        'action_name': 'compile the default seccomp filter',
        'inputs': ['<(PRODUCT_DIR)/seccomp-generate'],
        'outputs': ['<(generated)/seccomp_default.inc'],
        'action': ['<(PRODUCT_DIR)/seccomp-generate', '<(generated)/seccomp_default.inc'],
      }],
    },
    {
      'target_name': 'dinghy-supervisor',
      'type': 'executable',
      'cflags_cc': ['<@(core_flags)'],
      'dependencies': ['seccomp-default'],
      'include_dirs': ['<(generated)'],
      'sources': ['<!@(ls addon/sys/*.cc addon/jail/*.cc addon/layer/*.cc addon/net/*.cc addon/supervisor/*.cc)',
                  '<!@(ls addon/jail/seccomp/*.cc | grep -v generate.cc)'],
      'ldflags': ['-static', '-Wl,--gc-sections', '-Wl,-z,relro,-z,now', '-s'],
      'ldflags!': ['-rdynamic'],
      'libraries': ['-l:libseccomp.a', '-l:libzstd.a', '-l:libz.a', '-l:libcrypto.a'],
    },
    {
      'target_name': 'dinghy',
      'dependencies': ['dinghy-supervisor'],
      'sources': ['<!@(ls addon/binding/*.cc)'],
      'include_dirs': ["<!(node -p \"require('node-addon-api').include_dir\")"],
      'cflags_cc': ['<@(core_flags)'],
      'defines': ['NAPI_VERSION=8', 'NAPI_DISABLE_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED'],
      'ldflags': ['-Wl,-z,nodelete', '-Wl,--gc-sections'],
    },
  ],
}
