// What the benchmarks ask of sharp: one job a line on stdin, one answer a line on stdout, by its own clock.
const fs = require('fs'), path = require('path');
const sharp = require('sharp');
sharp.concurrency(1);
sharp.cache(false);

// An SVG is how sharp's documentation writes text on a picture.
function mark(width, height, text) {
  const size = Math.round(Math.min(width, height) * 0.04), margin = Math.round(Math.min(width, height) * 0.02);
  return Buffer.from(`<svg width="${width}" height="${height}"><text x="${width - margin}" y="${height - margin}"
    text-anchor="end" font-size="${size}" fill="white" fill-opacity="0.6">${text}</text></svg>`);
}

function encoded(image, job) {
  const options = {quality: job.quality};
  if (job.format === 'webp' || job.format === 'avif') options.effort = job.effort;
  return image.toFormat(job.format, job.format === 'png' || job.format === 'gif' ? {} : options).toBuffer();
}

async function run(job) {
  const opened = () => sharp(job.file, {animated: job.animated || false, limitInputPixels: false});
  if (job.kind === 'watermark') {
    const image = opened();
    const {width, height} = job.width ? job : await image.metadata();
    return [await encoded(image.composite([{input: mark(width, height, job.text)}]), job)];
  }
  const made = [];
  for (const width of job.widths) {
    made.push(await encoded(width ? opened().resize({width}) : opened(), job));
  }
  return made;
}

require('readline').createInterface({input: process.stdin}).on('line', async line => {
  const job = JSON.parse(line);
  const began = process.hrtime.bigint();
  const made = await run(job);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const files = job.out ? made.map((bytes, index) => {
    const file = path.join(job.out, `sharp-${index}.${job.format}`);
    fs.writeFileSync(file, bytes);
    return file;
  }) : [];
  console.log(JSON.stringify({seconds, files}));
});
