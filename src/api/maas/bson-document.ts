/** BSON of a document whose every value is binary (bsonspec.org: type 5, subtype 0): all that `op=details` needs. */
export function bsonOfBinaries(values: Readonly<Record<string, Buffer>>): Buffer {
  const elements = Object.entries(values).map(([name, value]) => {
    const length = Buffer.alloc(4);
    length.writeInt32LE(value.length);
    return Buffer.concat([Buffer.from([0x05]), Buffer.from(`${name}\0`), length, Buffer.from([0]), value]);
  });
  const body = Buffer.concat(elements);
  const total = Buffer.alloc(4);
  total.writeInt32LE(4 + body.length + 1);
  return Buffer.concat([total, body, Buffer.from([0])]);
}
