/**
 * A pickle reader that executes nothing. It builds dictionaries, tuples, lists, strings, numbers and descriptions of tensors; any other
 * name is refused at the moment the file says it (pickle-values.ts), any other opcode too. Source: the opcodes of Python's pickletools.
 */
import { WetreadError } from '#domain/errors.ts';
import { isKind, named, type PickleForm, type Storage, type Value, wholeNumbers } from './pickle-values.ts';

/** The object of a pickle. `where` names the file in messages. @throws checkpoint-hostile, checkpoint-unreadable */
export function readPickle(bytes: Uint8Array, where: string, form: PickleForm = 'state'): Value {
  return new PickleMachine(bytes, where, form).run();
}

/** Stack machine over the opcodes that torch.save writes (protocols 2 to 5). A class because it holds the machine's state. */
class PickleMachine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #where: string;
  readonly #form: PickleForm;
  readonly #memo = new Map<number, Value>();
  #stack: Value[] = [];
  #outer: Value[][] = [];
  #at = 0;

  constructor(bytes: Uint8Array, where: string, form: PickleForm) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#where = where;
    this.#form = form;
  }

  run(): Value {
    for (;;) {
      const opcode = this.#bytes[this.#take(1)] ?? 0;
      const character = String.fromCharCode(opcode);
      if (character === '.') return this.#pop();
      if (!this.#literal(opcode, character) && !this.#container(opcode, character) && !this.#call(opcode, character)) {
        throw this.#refuse(`the opcode 0x${opcode.toString(16).padStart(2, '0')}, which a state dictionary does not need`);
      }
    }
  }

  #refuse(found: string): WetreadError {
    return new WetreadError('checkpoint-hostile', `${this.#where}: the pickle has ${found}; nothing of it was run`);
  }

  #broken(what: string): WetreadError {
    return new WetreadError('checkpoint-unreadable', `${this.#where}: the pickle ${what}`, { hint: 'fetch this file again' });
  }

  #take(count: number): number {
    const start = this.#at;
    if (count < 0 || start + count > this.#bytes.byteLength)
      throw this.#broken(`ends at byte ${this.#bytes.byteLength}, byte ${start + count} is named`);
    this.#at += count;
    return start;
  }

  #pop(): Value {
    const value = this.#stack.pop();
    if (value === undefined) throw this.#broken('takes from an empty stack');
    return value;
  }

  #text(length: number): string {
    const start = this.#take(length);
    return new TextDecoder().decode(this.#bytes.subarray(start, start + length));
  }

  #line(): string {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end < 0) throw this.#broken('has a line without an end');
    const text = this.#text(end - this.#at);
    this.#at += 1;
    return text;
  }

  #u8 = () => this.#view.getUint8(this.#take(1));
  #u16 = () => this.#view.getUint16(this.#take(2), true);
  #u32 = () => this.#view.getUint32(this.#take(4), true);
  #u64 = () => Number(this.#view.getBigUint64(this.#take(8), true));

  /** Numbers, strings, the memo, framing. */
  #literal(opcode: number, character: string): boolean {
    const push = (value: Value) => this.#stack.push(value);
    switch (character) {
      case 'N':
        push(null);
        return true;
      case 'K':
        push(this.#u8());
        return true;
      case 'M':
        push(this.#u16());
        return true;
      case 'J':
        push(this.#view.getInt32(this.#take(4), true));
        return true;
      case 'G':
        push(this.#view.getFloat64(this.#take(8), false));
        return true;
      case 'X':
        push(this.#text(this.#u32()));
        return true;
      case 'q':
        this.#memo.set(this.#u8(), this.#top());
        return true;
      case 'r':
        this.#memo.set(this.#u32(), this.#top());
        return true;
      case 'h':
        push(this.#recall(this.#u8()));
        return true;
      case 'j':
        push(this.#recall(this.#u32()));
        return true;
    }
    switch (opcode) {
      case 0x80: // PROTO
        this.#take(1);
        return true;
      case 0x95: // FRAME
        this.#take(8);
        return true;
      case 0x88:
        push(true);
        return true;
      case 0x89:
        push(false);
        return true;
      case 0x8a:
        push(this.#long(this.#u8()));
        return true;
      case 0x8c:
        push(this.#text(this.#u8()));
        return true;
      case 0x8d:
        push(this.#text(this.#u64()));
        return true;
      case 0x94: // MEMOIZE
        this.#memo.set(this.#memo.size, this.#top());
        return true;
    }
    return false;
  }

  #top(): Value {
    const value = this.#stack.at(-1);
    if (value === undefined) throw this.#broken('remembers an empty stack');
    return value;
  }

  #recall(index: number): Value {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.#broken(`recalls entry ${index}, which was never remembered`);
    return value;
  }

  /** LONG1: a little-endian two's complement integer. */
  #long(length: number): Value {
    const start = this.#take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[start + i] ?? 0);
    value = BigInt.asIntN(8 * length, value);
    return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
  }

  #sinceMark(): Value[] {
    const items = this.#stack;
    const outer = this.#outer.pop();
    if (outer === undefined) throw this.#broken('closes what it never opened');
    this.#stack = outer;
    return items;
  }

  /** Tuples, lists, dictionaries. */
  #container(opcode: number, character: string): boolean {
    const tuple = (items: readonly Value[]) => this.#stack.push({ kind: 'tuple', items });
    switch (character) {
      case '(':
        this.#outer.push(this.#stack);
        this.#stack = [];
        return true;
      case ')':
        tuple([]);
        return true;
      case 't':
        tuple(this.#sinceMark());
        return true;
      case ']':
        this.#stack.push({ kind: 'list', items: [] });
        return true;
      case '}':
        this.#stack.push({ kind: 'dict', entries: new Map() });
        return true;
      case 'a':
        this.#append([this.#pop()]);
        return true;
      case 'e':
        this.#append(this.#sinceMark());
        return true;
      case 's':
        this.#setItems([this.#pop(), this.#pop()].reverse());
        return true;
      case 'u':
        this.#setItems(this.#sinceMark());
        return true;
    }
    if (opcode < 0x85 || opcode > 0x87) return false;
    tuple(Array.from({ length: opcode - 0x84 }, () => this.#pop()).reverse());
    return true;
  }

  #append(items: readonly Value[]): void {
    const list = this.#top();
    if (!isKind(list, 'list')) throw this.#broken('appends to what is no list');
    for (const item of items) list.items.push(item);
  }

  #setItems(items: readonly Value[]): void {
    const dict = this.#top();
    if (!isKind(dict, 'dict') || items.length % 2 !== 0) throw this.#broken('sets an item of what is no dictionary');
    for (let i = 0; i < items.length; i += 2) dict.entries.set(items[i] ?? null, items[i + 1] ?? null);
  }

  /** Names, calls, storages, empty objects of a module's class, and the state that BUILD sets. */
  #call(opcode: number, character: string): boolean {
    switch (character) {
      case 'c':
        this.#stack.push(named(this.#line(), this.#line(), this.#where, this.#form));
        return true;
      case 'Q':
        this.#stack.push(this.#persistent(this.#pop()));
        return true;
      case 'R': {
        const args = this.#pop();
        this.#stack.push(this.#reduce(this.#pop(), args));
        return true;
      }
      case 'b':
        this.#build(this.#pop());
        return true;
    }
    if (opcode === 0x81) {
      // NEWOBJ
      const args = this.#pop();
      if (!isKind(this.#pop(), 'module-class') || !isKind(args, 'tuple') || args.items.length > 0) {
        throw this.#refuse('an object of something that is no module');
      }
      this.#stack.push({ kind: 'module', attributes: null });
      return true;
    }
    if (opcode !== 0x93) return false; // STACK_GLOBAL
    const name = this.#pop();
    const module = this.#pop();
    if (typeof name !== 'string' || typeof module !== 'string') throw this.#refuse('a name that is no text');
    this.#stack.push(named(module, name, this.#where, this.#form));
    return true;
  }

  /** The attributes of a module; the `_metadata` of a state dictionary is dropped. */
  #build(state: Value): void {
    const target = this.#top();
    if (isKind(target, 'module') && isKind(state, 'dict')) target.attributes = state.entries;
    else if (!isKind(target, 'dict')) throw this.#refuse('a state for what is no dictionary');
  }

  /** ('storage', type, key, location, count). */
  #persistent(id: Value): Storage {
    const [tag, type, key, , count] = isKind(id, 'tuple') ? id.items : [];
    if (tag !== 'storage' || !isKind(type, 'storage-type') || typeof key !== 'string' || typeof count !== 'number') {
      throw this.#refuse('a reference that is no storage');
    }
    return { kind: 'storage', type: type.type, key, count };
  }

  #reduce(callable: Value, args: Value): Value {
    if (!isKind(args, 'tuple')) throw this.#broken('calls with what is no tuple');
    if (isKind(callable, 'ordered-dict') && args.items.length === 0) return { kind: 'dict', entries: new Map() };
    if (isKind(callable, 'list-builder') && args.items.length === 1) return args.items[0] ?? null;
    if (!isKind(callable, 'rebuild-tensor')) throw this.#refuse('a call of something that is no tensor');
    const [storage, offset, shape, stride] = args.items;
    const sizes = wholeNumbers(shape);
    const strides = wholeNumbers(stride);
    if (!isKind(storage, 'storage') || typeof offset !== 'number' || offset < 0 || sizes === null || strides?.length !== sizes.length) {
      throw this.#broken('describes a tensor that cannot be');
    }
    return { kind: 'tensor', storage, offset, shape: sizes, stride: strides };
  }
}
