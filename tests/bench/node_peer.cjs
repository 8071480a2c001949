// Segment's own engine over the same events: parse, find the subscription by its trigger, transform, stringify.
//
// Arguments: the folder with node_modules, a file of JSON lines. For each line on standard input it maps all events once and prints
// "wall cpu" in microseconds an event. In its favour: triggers are parsed once (the engine parses them for every event), a subscription that
// matched ends the search (the engine tries every one), and the payload is not validated against a schema.
const path = require('path')
const fs = require('fs')
const readline = require('readline')

const [, , home, file] = process.argv
const from = (name) => require(path.join(home, 'node_modules', name))
const { transform } = from('@segment/actions-core')
const { parseFql, validate } = from('@segment/destination-subscriptions')

const at = (key) => ({ '@path': `$.${key}` })
const common = Object.fromEntries(['type', 'userId', 'anonymousId', 'messageId', 'timestamp', 'context'].map((key) => [key, at(key)]))
const named = { name: at('name'), category: at('category') }
const merged = (...objects) => ({ '@merge': { direction: 'right', objects } })
const page = Object.fromEntries(['path', 'referrer', 'search', 'title', 'url'].map((key) => [key, at(`context.page.${key}`)]))

const subscriptions = [
  ['track', { ...common, event: at('event'), properties: at('properties') }],
  ['page', { ...common, ...named, properties: merged(page, named, at('properties')) }],
  ['identify', { ...common, traits: at('traits') }],
  ['screen', { ...common, ...named, properties: merged(named, at('properties')) }],
  ['group', { ...common, groupId: at('groupId'), traits: at('traits') }]
].map(([type, mapping]) => [parseFql(`type = "${type}"`), mapping])

const lines = fs.readFileSync(file, 'utf8').split('\n')

function run() {
  let size = 0
  for (const line of lines) {
    let event
    try {
      event = JSON.parse(line)
    } catch {
      size += 1
      continue
    }
    const found = subscriptions.find(([trigger]) => validate(trigger, event))
    size += found ? JSON.stringify(transform(found[1], event)).length : 1
  }
  return size
}

readline.createInterface({ input: process.stdin }).on('line', () => {
  const start = process.hrtime.bigint()
  const used = process.cpuUsage()
  const size = run()
  const cpu = process.cpuUsage(used)
  const wall = Number(process.hrtime.bigint() - start) / 1000
  console.log(`${wall / lines.length} ${(cpu.user + cpu.system) / lines.length} ${size}`)
})
