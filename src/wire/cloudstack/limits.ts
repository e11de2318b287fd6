/** From this many UTF-8 bytes on a body is sent compressed; 8191 still goes plain (`Request.java`). */
export const compressionThreshold = 8_192;

/**
 * Longest message taken from a peer, in bytes on the wire. The largest real one, a StartCommand with a config drive inside, stays
 * far below; without a limit a peer could fill our memory with packets that all say "more follows".
 */
export const maxFrameBytes = 16 * 1024 * 1024;

/** Longest body after decompression, in bytes: a few kilobytes of gzip must not become gigabytes. */
export const maxBodyBytes = 16 * 1024 * 1024;

/** Deepest nesting of a JSON body. Real ones reach about ten; the JSON parser is recursive, so a limit keeps it off the stack's end. */
export const maxJsonDepth = 64;

/** Most values in a JSON body: each costs fifty bytes and more of memory. Real bodies have some hundreds. */
export const maxJsonValues = 100_000;

/** Longest number, in characters: the longest real one has twenty. */
export const maxNumberLength = 1_000;

/** Most commands or answers in one frame; each gets an answer of its own. */
export const maxBodyEntries = 1_000;

/** Longest class name, in characters: it comes back in answers. */
export const maxClassName = 500;

/**
 * Most TLS records of one message: each costs a buffer, however few bytes are in it. Real senders fill their records, so that the longest
 * message has a sixteenth of this.
 */
export const maxFrameRecords = 16 * 1_024;

/** Most bytes of messages that wait to be sent on one link: a peer that commands and does not read must not fill our memory. */
export const maxQueuedBytes = 64 * 1024 * 1024;

/** Plaintext bytes in one TLS record, and so in one packet: the TLS maximum, which the Java side fills too. */
export const maxPlaintextChunk = 16_384;

/** Largest TLS part of a packet: the Java reader closes the link above it (`Link.MAX_SIZE_PER_PACKET`). */
export const maxPacketBytes = 18_000;

/** Largest TLS 1.2 record body: 2^14 bytes of plaintext and up to 2048 of protection (RFC 5246, 6.2.3). */
export const maxRecordBody = 16_384 + 2_048;
