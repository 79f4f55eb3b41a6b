import type { Processor, Queue, Worker } from "bullmq";
import type { StoredJob } from "../job-codec.ts";

/** What we use of BullMQ's queue; its full type differs with what it runs on. */
export type EngineQueue = Pick<Queue<StoredJob>, "add" | "getJob" | "getJobs" | "getJobCounts" | "clean" | "close">;

/** What we use of BullMQ's worker. */
export type EngineWorker = Pick<Worker<StoredJob>, "pause" | "close">;

/** In which order jobs came, by tenant: BullMQ itself lists by state only. */
export interface JobIndex {
  /** Notes an id, and tells whether it was not noted yet. */
  add(tenant: string, id: string): Promise<boolean>;
  /** Ids of a tenant, newest first, each with its place; only those before the place, where one is given. */
  page(tenant: string, before: string, size: number): Promise<{ id: string; place: string }[]>;
  remove(ids: readonly string[]): Promise<void>;
}

/** How a Worker is to be set up. */
export interface EngineWorkerOptions {
  concurrency: number;
  lockDuration: number;
  stalledInterval: number;
  maxStalledCount: number;
  drainDelay: number;
  runRetryDelay: number;
}

/** What BullMQ runs on: a server, reached in its own way. */
export interface JobEngine {
  readonly queue: EngineQueue;
  readonly index: JobIndex;
  createWorker(processor: Processor<StoredJob>, options: EngineWorkerOptions): EngineWorker;
  /** Frees what a worker had to itself. */
  freeWorker(worker: EngineWorker): Promise<void>;
  /** Performs requests on the server; rejects within 2 s where it does not answer. */
  ask<T>(run: () => Promise<T>): Promise<T>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Name of the queue on the server. */
export const queueName = "jackfield-jobs";
