-- wrk draws requests uniformly at random from a file and counts the answers that are right.
--
-- wrk … -s draw.lua <url> -- <seed> <requests file> <text a right answer holds> [<header> <value>]…
-- The file holds requests' bodies one after the other, each behind its length in decimal and a line feed.
-- `done` prints one line: RESULT and an object of figures, latencies in microseconds.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
   thread:set("number", #threads)
end

local function bodies(path)
   local found, file = {}, assert(io.open(path, "rb"))
   for size in file:lines() do
      found[#found + 1] = file:read(tonumber(size))
   end
   file:close()
   return found
end

function init(args)
   math.randomseed(tonumber(args[1]) + number)
   wanted, right = args[3], 0
   wrk.method = "POST"
   for index = 4, #args, 2 do
      wrk.headers[args[index]] = args[index + 1]
   end
   requests = {}
   for _, body in ipairs(bodies(args[2])) do
      requests[#requests + 1] = wrk.format(nil, nil, nil, body)
   end
end

function request()
   return requests[math.random(#requests)]
end

function response(status, headers, body)
   if status == 200 and body:find(wanted, 1, true) then
      right = right + 1
   end
end

function done(summary, latency, all)
   local answered = 0
   for _, thread in ipairs(threads) do
      answered = answered + thread:get("right")
   end
   local errors = summary.errors
   io.write(string.format(
      'RESULT {"right": %d, "answers": %d, "seconds": %.6f, "lost": %d, '
         .. '"p50": %.1f, "p99": %.1f, "p999": %.1f, "max": %.1f}\n',
      answered, summary.requests, summary.duration / 1e6,
      errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max))
end
