/**
 * Writes the few kinds of ONNX model the benchmark needs, as bytes. ONNX files are protocol buffers; the
 * handful of messages used here fit in a small encoder, so the benchmark needs neither Python nor a schema.
 * Field numbers are those of onnx.proto3.
 */

const DataType = { float: 1, int64: 7 } as const;
const AttributeType = { int: 2, string: 3 } as const;

class Message {
  private readonly bytes: number[] = [];

  private varint(value: number): void {
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest > 127n) {
      this.bytes.push(Number(rest & 127n) | 128);
      rest >>= 7n;
    }
    this.bytes.push(Number(rest));
  }

  integer(field: number, value: number): this {
    this.varint(field << 3);
    this.varint(value);
    return this;
  }

  raw(field: number, value: Uint8Array | number[]): this {
    this.varint((field << 3) | 2);
    this.varint(value.length);
    for (const byte of value) this.bytes.push(byte);
    return this;
  }

  text(field: number, value: string): this {
    return this.raw(field, new TextEncoder().encode(value));
  }

  message(field: number, value: Message): this {
    return this.raw(field, value.bytes);
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.bytes);
  }
}

export interface Node {
  op: string;
  inputs: string[];
  outputs: string[];
  attributes?: Record<string, number | string>;
}

export interface Value {
  name: string;
  type: keyof typeof DataType;
  shape: readonly number[];
}

export interface Constant extends Value {
  values: readonly number[];
}

export interface Graph {
  nodes: Node[];
  inputs: Value[];
  outputs: Value[];
  constants?: Constant[];
}

function encodeNode(node: Node): Message {
  const message = new Message();
  for (const input of node.inputs) message.text(1, input);
  for (const output of node.outputs) message.text(2, output);
  message.text(4, node.op);
  for (const [name, value] of Object.entries(node.attributes ?? {})) {
    const attribute = new Message().text(1, name);
    if (typeof value === 'string') attribute.text(4, value).integer(20, AttributeType.string);
    else attribute.integer(3, value).integer(20, AttributeType.int);
    message.message(5, attribute);
  }
  return message;
}

function encodeValue(value: Value): Message {
  const shape = new Message();
  for (const size of value.shape) shape.message(1, new Message().integer(1, size));
  const tensor = new Message().integer(1, DataType[value.type]).message(2, shape);
  return new Message().text(1, value.name).message(2, new Message().message(1, tensor));
}

function encodeConstant(constant: Constant): Message {
  const message = new Message();
  for (const size of constant.shape) message.integer(1, size);
  const data =
    constant.type === 'float'
      ? Float32Array.from(constant.values)
      : BigInt64Array.from(constant.values.map(BigInt));
  return message
    .integer(2, DataType[constant.type])
    .text(8, constant.name)
    .raw(9, new Uint8Array(data.buffer));
}

/** A model of opset 18 (the first whose ScatterElements can add) with one graph. */
export function encodeModel(graph: Graph): Uint8Array {
  const body = new Message();
  for (const node of graph.nodes) body.message(1, encodeNode(node));
  body.text(2, 'bench');
  for (const constant of graph.constants ?? []) body.message(5, encodeConstant(constant));
  for (const input of graph.inputs) body.message(11, encodeValue(input));
  for (const output of graph.outputs) body.message(12, encodeValue(output));
  const opset = new Message().text(1, '').integer(2, 18);
  return new Message()
    .integer(1, 8)
    .text(2, 'logitcore-bench')
    .message(7, body)
    .message(8, opset)
    .finish();
}
