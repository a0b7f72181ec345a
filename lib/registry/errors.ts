import { DinghyError, isDinghyError } from '../errors';
import { discard, type HttpResponse, networkErrorCode, readBody } from './http';

const maxErrorBytes = 1024 * 1024;

interface RegistryFault {
  code: string;
  message: string;
}

/** The typed error that an answer with a failing status means; its body is read (bounded) for the registry's own words. */
export async function responseError(
  response: HttpResponse,
  doing: string,
  wish: 'read' | 'write' = 'read',
): Promise<DinghyError> {
  const fault = await readFault(response);
  const said = fault ? ` (${[fault.code, fault.message].filter(Boolean).join(': ')})` : '';
  const { status, url } = response;
  const details = { status, host: url.host, ...(fault?.code ? { registryCode: fault.code } : {}) };
  const make = (code: DinghyError['code'], why: string): DinghyError => {
    return new DinghyError({ code, message: `cannot ${doing}: ${why}${said}`, details });
  };
  if (status === 401 || status === 403) {
    const hint = `log in, or check that the repository exists and that this account may ${wish === 'read' ? 'read it' : 'push to it'}`;
    return make('ERR_REGISTRY_AUTH', `${url.host} answered ${status}, access denied: ${hint}`);
  }
  if (status === 404 && wish === 'read') {
    return make('ERR_IMAGE_NOT_FOUND', `${url.host} has no such image`);
  }
  if (status === 413) {
    return make('ERR_REGISTRY', `${url.host} answered 413, it takes nothing of this size`);
  }
  if (status === 429) {
    return make(
      'ERR_REGISTRY_RATE_LIMITED',
      `${url.host} limits how often it may be asked: try again later, or log in`,
    );
  }
  return make('ERR_REGISTRY', `${url.host} answered ${status}`);
}

/** The typed error for a request that got no answer. What is typed already, or no network's fault but ours, stays what it is. */
export function requestError(error: unknown, host: string, doing: string): unknown {
  const code = networkErrorCode(error);
  if (isDinghyError(error) || code === undefined) {
    return error;
  }
  const { proxy } = error as { proxy?: string };
  return new DinghyError({
    code: 'ERR_REGISTRY_UNREACHABLE',
    message: `cannot ${doing}: no answer from ${host}${proxy ? ` through the proxy ${proxy}` : ''}: ${code}${hintFor(code)}`,
    details: { host },
    cause: error,
  });
}

/** True for what TLS says of a certificate that it doesn't trust. */
export function isCertificateFault(code: string | undefined): boolean {
  return /CERT|SIGNATURE|SELF_SIGNED/.test(code ?? '');
}

function hintFor(code: string): string {
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return ', its name cannot be resolved: check the name and the network';
  }
  if (isCertificateFault(code)) {
    return ', its certificate is not trusted: give the authority as `ca` of this registry';
  }
  return code === 'ECONNREFUSED' ? ', nothing listens there' : '';
}

async function readFault(response: HttpResponse): Promise<RegistryFault | undefined> {
  const type = response.header('content-type') ?? '';
  if (!type.includes('json')) {
    await discard(response);
    return undefined;
  }
  try {
    const body = JSON.parse((await readBody(response, maxErrorBytes, 'error')).toString('utf8')) as {
      errors?: { code?: unknown; message?: unknown }[];
      details?: unknown;
    };
    const first = body.errors?.[0];
    return { code: printable(first?.code), message: printable(first?.message ?? body.details) };
  } catch {
    return undefined;
  }
}

/** The registry's words go to terminals: no control characters, and not much of them. */
function printable(value: unknown): string {
  return typeof value === 'string' ? value.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').slice(0, 300) : '';
}
