import type { Image } from '../../core/image/image.ts';
import type { ImageStore } from '../../core/storage/storage.ts';
import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';

export class SqlImageStore implements ImageStore {
  readonly #tables: Tables;
  readonly #session: Session;

  constructor(tables: Tables, session: Session) {
    this.#tables = tables;
    this.#session = session;
  }

  find(name: string): Promise<Image | null> {
    return this.#tables.image.find(this.#session, { name });
  }

  list(): Promise<readonly Image[]> {
    return this.#tables.image.select(this.#session, {}, { order: { name: 'ASC' } });
  }

  async insert(image: Image): Promise<void> {
    await this.#tables.image.insert(this.#session, [image]);
  }

  async delete(name: string): Promise<void> {
    await this.#tables.image.delete(this.#session, { name });
  }
}
