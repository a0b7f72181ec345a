# The same sources as addon/CMakeLists.txt, for people who build with node-gyp:  npx node-gyp rebuild
# Not in the published package: npm would run it by itself ("gypfile": false keeps it from doing so in a clone).
{
  'variables': {
    'core_flags': ['-Wall', '-Wextra', '-Werror', '-fno-exceptions', '-fno-rtti', '-ffunction-sections', '-fdata-sections',
                   '-fstack-protector-strong', '-std=gnu++20', '-iquote', '<(module_root_dir)/addon'],
    'generated': '<(SHARED_INTERMEDIATE_DIR)/dinghy',
  },
  'target_defaults': {
    'cflags_cc!': ['-fno-rtti', '-fno-exceptions', '-std=gnu++17', '-std=gnu++20'],
    'cflags_cc': ['<@(core_flags)'],
    'defines': ['_GNU_SOURCE', '_FILE_OFFSET_BITS=64'],
  },
  'targets': [
    {
      'target_name': 'seccomp-generate',
      'type': 'executable',
      'sources': ['addon/jail/seccomp/generate.cc',
                  '<!@(ls addon/jail/seccomp/profile*.cc addon/jail/seccomp/compile*.cc)'],
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
      'cflags_cc': ['-isystem', "<!(node -p \"require('node-addon-api').include_dir\")"],
      'defines': ['NAPI_VERSION=8', 'NAPI_DISABLE_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED'],
      'ldflags': ['-Wl,-z,nodelete', '-Wl,--gc-sections'],
    },
  ],
}
