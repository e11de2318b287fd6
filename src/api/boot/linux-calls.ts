/** `revents`/`events` of poll(2): room to write. */
export const pollOut = 4;
/** Something to read. */
export const pollIn = 1;

/** errno values of Linux, the same on x64 and arm64. */
export const errno = {
  EINTR: 4,
  EAGAIN: 11,
  EINVAL: 22,
  EPIPE: 32,
  ENOSYS: 38,
  EOPNOTSUPP: 95,
  ECONNRESET: 104,
};

/** System calls that Node does not offer. All return what the kernel does: a result, or the negative errno. */
export interface LinuxCalls {
  /** A further descriptor of the same open file or connection, closed on exec. The caller closes it. */
  duplicate(fd: number): number;
  /** An eventfd: 8 bytes written make it readable, 8 bytes read make it empty. Does not block, closed on exec. */
  eventCounter(): number;
  /** poll(2) on `count` pairs of (descriptor, events + revents << 16); waits for so many milliseconds at most. */
  poll(set: Int32Array, count: number, timeout: number): number;
  /** sendfile(2): bytes that the kernel took, from `position[0]` of the file; 0 at its end. */
  sendFile(to: number, from: number, position: BigInt64Array, bytes: number): number;
}

/** `struct pollfd` and `off_t` are written for these: little-endian, 64 bits. */
const architectures = ['x64', 'arm64'];

const fDupFdCloexec = 1030;
const efdCloexecNonblock = 0o2004000;

/**
 * Finds the calls in the C library that Node itself uses, by way of the optional package koffi.
 * @throws Error saying why not: another system, or koffi is absent.
 */
export async function loadLinuxCalls(): Promise<LinuxCalls> {
  if (process.platform !== 'linux' || !architectures.includes(process.arch))
    throw new Error(`not made for ${process.platform} on ${process.arch}`);
  const { default: koffi } = await import('koffi');
  const library = koffi.load(null);
  const bind = (name: string, result: string, parameters: string[]) => {
    const call = library.func(name, result, parameters) as (...values: unknown[]) => number;
    return (...values: unknown[]): number => {
      const returned = call(...values);
      return returned === -1 ? -koffi.errno() : returned;
    };
  };
  const fcntl = bind('fcntl', 'int', ['int', 'int', '...']);
  const eventfd = bind('eventfd', 'int', ['uint32_t', 'int']);
  const poll = bind('poll', 'int', ['void *', 'uint64_t', 'int']);
  const sendfile = bind('sendfile', 'int64_t', ['int', 'int', 'void *', 'uint64_t']);
  return {
    duplicate: (fd) => fcntl(fd, fDupFdCloexec, 'int', 0),
    eventCounter: () => eventfd(0, efdCloexecNonblock),
    poll,
    sendFile: sendfile,
  };
}
