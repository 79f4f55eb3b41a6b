// Measures the pipeline alone, in this process: `node --conditions=@jackfield/source bench/pipeline.ts [calls] [tools]`.
import { measurePipeline } from "./measure-pipeline.ts";

const [calls = "200000", tools = "1"] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(await measurePipeline({ calls: Number(calls), tools: Number(tools) }))}\n`);
