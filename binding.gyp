{
  'variables': {
    'werror%': '<!(node -p "process.env.LOGITCORE_WERROR === \'1\' ? 1 : 0")',
    'version': '<!(node -p "require(\'./package.json\').version")',
    'op_sources': ['<!@(node scripts/sources.cjs cpp/ops)'],
  },

  'target_defaults': {
    'defines': [
      'LOGITCORE_VERSION="<(version)"',
      'NAPI_VERSION=9',
      'NAPI_DISABLE_CPP_EXCEPTIONS',
      'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
    ],
    'include_dirs': ['cpp', '<!(node -p "require(\'node-addon-api\').include_dir")'],
    # Node's own build settings ask for other language levels than this code's.
    'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
    # Kept out: the frame pointer serves Node's JavaScript profiler only.
    'cflags!': ['-fno-omit-frame-pointer'],
    'cflags_cc': [
      '-std=c++17',
      # Contraction into fused multiply-adds is left to the kernels: the result
      # of a level must not depend on the compiler's choice.
      '-ffp-contract=off',
      '-fno-math-errno',
      '-fno-exceptions',
      '-fno-rtti',
      '-fvisibility=hidden',
      '-fvisibility-inlines-hidden',
      '-ffunction-sections',
      '-fdata-sections',
      '-fno-asynchronous-unwind-tables',
      '-Wall',
      '-Wextra',
    ],
    'xcode_settings': {
      'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
      'CLANG_CXX_LIBRARY': 'libc++',
      'DEAD_CODE_STRIPPING': 'YES',
      'GCC_ENABLE_CPP_EXCEPTIONS': 'NO',
      'GCC_ENABLE_CPP_RTTI': 'NO',
      'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
      'MACOSX_DEPLOYMENT_TARGET': '11.0',
      'OTHER_CPLUSPLUSFLAGS': [
        '-ffp-contract=off',
        '-fno-math-errno',
        '-fvisibility-inlines-hidden',
        '-Wall',
        '-Wextra',
      ],
    },
    'conditions': [
      ['OS=="linux"', {'cflags_cc': ['-fno-semantic-interposition']}],
      ['werror==1', {
        'cflags_cc': ['-Werror'],
        'xcode_settings': {'GCC_TREAT_WARNINGS_AS_ERRORS': 'YES'},
      }],
    ],
  },

  'targets': [
    {
      'target_name': 'logitcore',
      'sources': ['<!@(node scripts/sources.cjs cpp/engine cpp/dispatch cpp/addon)'],
      'conditions': [
        ['target_arch!="arm64"', {'dependencies': ['logitcore_portable']}],
        ['target_arch=="x64"', {'dependencies': ['logitcore_avx2']}],
        # cpp/dispatch/dispatch.h says why macOS has no AVX-512.
        ['target_arch=="x64" and OS!="mac"', {'dependencies': ['logitcore_avx512']}],
        ['target_arch=="arm64"', {'dependencies': ['logitcore_neon']}],
        ['OS=="linux"', {
          'cflags': ['-pthread'],
          'ldflags': [
            '-pthread',
            # Threads of the pool may still be inside this file when Node closes it.
            '-Wl,-z,nodelete',
            '-Wl,-Bsymbolic',
            # Other addons in the process may carry another C++ runtime.
            '-Wl,--exclude-libs,ALL',
            # Relative to build/, where make links: an absolute path with a
            # space in it would reach the linker in two pieces.
            '-Wl,--version-script=../cpp/addon/exports.map',
            '-Wl,--gc-sections',
            '-static-libstdc++',
            '-static-libgcc',
          ],
        }],
      ],
    },
  ],

  # The kernels, once per instruction set. Which one runs is decided at run
  # time, so only these targets may use the instructions of their level.
  'conditions': [
    ['target_arch!="arm64"', {
      'targets': [
        {
          'target_name': 'logitcore_portable',
          'type': 'static_library',
          'sources': ['<@(op_sources)'],
          'defines': ['LOGITCORE_LEVEL=portable'],
          'variables': {'level_flags': ['<!@(node scripts/sources.cjs --flags portable)']},
          'cflags_cc': ['<@(level_flags)'],
          'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(level_flags)']},
        },
      ],
    }],
    ['target_arch=="x64"', {
      'targets': [
        {
          'target_name': 'logitcore_avx2',
          'type': 'static_library',
          'sources': ['<@(op_sources)'],
          'defines': ['LOGITCORE_LEVEL=avx2'],
          'variables': {'level_flags': ['<!@(node scripts/sources.cjs --flags avx2)']},
          'cflags_cc': ['<@(level_flags)'],
          'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(level_flags)']},
        },
      ],
    }],
    ['target_arch=="x64" and OS!="mac"', {
      'targets': [
        {
          'target_name': 'logitcore_avx512',
          'type': 'static_library',
          'sources': ['<@(op_sources)'],
          'defines': ['LOGITCORE_LEVEL=avx512'],
          'variables': {'level_flags': ['<!@(node scripts/sources.cjs --flags avx512)']},
          'cflags_cc': ['<@(level_flags)'],
          'xcode_settings': {'OTHER_CPLUSPLUSFLAGS': ['<@(level_flags)']},
        },
      ],
    }],
    ['target_arch=="arm64"', {
      'targets': [
        {
          'target_name': 'logitcore_neon',
          'type': 'static_library',
          'sources': ['<@(op_sources)'],
          'defines': ['LOGITCORE_LEVEL=neon'],
        },
      ],
    }],
  ],
}
