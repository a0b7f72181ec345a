import { flattenProfile, settleSeccompProfile } from '../../../lib/oci/seccomp-profile';

const allow = { names: ['read'], action: 'SCMP_ACT_ALLOW' };
const host = { capabilities: ['CAP_CHOWN'], arch: 'x64', kernel: '6.1.0-18-amd64' };

function namesFor(syscalls: object[], on = host): string[] {
  const profile = settleSeccompProfile('seccomp', { defaultAction: 'SCMP_ACT_ERRNO', syscalls });
  return flattenProfile(profile, on).rules.flatMap(({ names }) => names);
}

test('a profile in the form of Docker or of the OCI becomes plain rules', () => {
  const profile = settleSeccompProfile('seccomp', {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 38,
    archMap: [
      { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
      { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
    ],
    syscalls: [
      allow,
      { name: 'personality', action: 'SCMP_ACT_ALLOW', args: [{ index: 0, value: 8, op: 'SCMP_CMP_EQ' }], comment: '' },
      { names: ['ptrace'], action: 'SCMP_ACT_ERRNO', errnoRet: 1, args: null, includes: {}, excludes: {} },
    ],
  });
  expect(flattenProfile(profile, host)).toEqual({
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrno: 38,
    architectures: ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32'],
    rules: [
      { names: ['read'], action: 'SCMP_ACT_ALLOW', args: [] },
      {
        names: ['personality'],
        action: 'SCMP_ACT_ALLOW',
        args: [{ index: 0, value: 8, valueTwo: 0, op: 'SCMP_CMP_EQ' }],
      },
      { names: ['ptrace'], action: 'SCMP_ACT_ERRNO', errno: 1, args: [] },
    ],
  });
  expect(flattenProfile(profile, { ...host, arch: 'arm64' }).architectures).toContain('SCMP_ARCH_ARM');
  const oci = settleSeccompProfile('seccomp', { defaultAction: 'SCMP_ACT_ALLOW', architectures: ['SCMP_ARCH_X86'] });
  expect(flattenProfile(oci, host)).toEqual({
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: ['SCMP_ARCH_X86'],
    rules: [],
  });
});

test('a rule holds where its conditions do: capabilities, architecture, kernel', () => {
  const rule = (name: string, more: object): object => ({ names: [name], action: 'SCMP_ACT_ALLOW', ...more });
  const rules = [
    rule('has', { includes: { caps: ['CAP_CHOWN'] } }),
    rule('lacks', { includes: { caps: ['CAP_CHOWN', 'CAP_SYS_ADMIN'] } }),
    rule('without', { excludes: { caps: ['CAP_SYS_ADMIN'] } }),
    rule('never', { excludes: { caps: ['CAP_CHOWN'] } }),
    rule('here', { includes: { arches: ['amd64', 's390x'] } }),
    rule('elsewhere', { includes: { arches: ['arm64'] } }),
    rule('not-here', { excludes: { arches: ['amd64'] } }),
    rule('newer', { includes: { minKernel: '6.1' } }),
    rule('too-new', { includes: { minKernel: '6.10' } }),
    rule('unheard-of', { includes: { caps: ['CAP_TIME_TRAVEL'] } }),
  ];
  expect(namesFor(rules)).toEqual(['has', 'without', 'here', 'newer']);
  const older = { ...host, capabilities: ['CAP_CHOWN', 'CAP_SYS_ADMIN'], kernel: '5.10.0' };
  expect(namesFor(rules, older)).toEqual(['has', 'lacks', 'here']);
});

test.each([
  [{}, 'seccomp.defaultAction'],
  [{ defaultAction: 'SCMP_ACT_MAYBE' }, 'seccomp.defaultAction'],
  [{ defaultAction: 'SCMP_ACT_NOTIFY' }, 'seccomp.defaultAction'],
  [{ defaultAction: 'SCMP_ACT_ALLOW', defaultErrnoRet: 5000 }, 'seccomp.defaultErrnoRet'],
  [{ defaultAction: 'SCMP_ACT_ALLOW', listenerPath: '/run/x' }, 'seccomp.listenerPath'],
  [{ defaultAction: 'SCMP_ACT_ALLOW', flags: ['SECCOMP_FILTER_FLAG_WAIT'] }, 'seccomp.flags'],
  [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: {} }, 'seccomp.syscalls'],
  [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ action: 'SCMP_ACT_ALLOW' }] }, 'seccomp.syscalls[0].names'],
  [{ defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...allow, name: 'x' }] }, 'seccomp.syscalls[0].names'],
  [
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...allow, args: [{ index: 6, op: 'SCMP_CMP_EQ' }] }] },
    'seccomp.syscalls[0].args[0].index',
  ],
  [
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...allow, args: [{ index: 0, op: '==' }] }] },
    'seccomp.syscalls[0].args[0].op',
  ],
  [
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...allow, args: [{ index: 0, op: 'SCMP_CMP_EQ', value: -1 }] }] },
    'seccomp.syscalls[0].args[0].value',
  ],
  [
    { defaultAction: 'SCMP_ACT_ALLOW', syscalls: [{ ...allow, includes: { minKernel: 'new' } }] },
    'seccomp.syscalls[0].includes.minKernel',
  ],
])('%j is refused, naming what is wrong', (profile, option) => {
  expect(() => settleSeccompProfile('seccomp', profile)).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_OPTION', details: expect.objectContaining({ option }) }) as Error,
  );
});
