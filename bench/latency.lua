-- latency.lua - prints the latencies that wrk measured, without the ones that wrk made up, and the bytes
-- that it read, which wrk itself rounds to three digits.
--
-- wrk 4.0 and 4.1 "correct for coordinated omission": after a run they add invented samples below
-- every latency of more than two intervals, where the interval is the mean time between two
-- requests of one connection. For a pipeline the interval is that of one request and the latency that
-- of a whole batch, so nearly every sample breeds others. We report what was measured, so done()
-- takes the invented samples out again. That is exact: a sample of n us adds one at n - interval,
-- n - 2 x interval ... while above one interval, so with the final counts f
--
--     measured(m) = f(m) - f(m + interval)   for m > interval,      f(m) otherwise.
--
-- A wrk that adds nothing is recognised by its number of samples, which is then that of the answers.
-- No function in this file runs while wrk measures.

local ffi = require("ffi")

DEPTH = 1 -- requests in one batch; wrk takes one sample a batch

-- The connections asked for: wrk tells its scripts nothing about them.
local function connections_asked()
   local file = io.open("/proc/self/cmdline", "rb")
   local line = file and file:read("*a") or ""
   if file then file:close() end
   return tonumber(line:match("%z%-c%z?(%d+)%z"))
end

-- wrk's histogram: four words (count, limit, min, max), then the count of every microsecond. Nil
-- when the memory does not look like that.
local function histogram(latency)
   local words = ffi.cast("uint64_t **", latency)[0]
   local min, max = tonumber(words[2]), tonumber(words[3])
   if min ~= latency.min or max ~= latency.max or max >= tonumber(words[1]) then
      return nil
   end
   return words + 4, max
end

local function total(counts, max)
   local sum = 0
   for us = 1, max do sum = sum + counts[us] end
   return sum
end

local function measured_counts(data, max, interval)
   local counts = {}
   for us = 1, max do
      counts[us] = tonumber(data[us])
      if us > interval and us + interval <= max then
         counts[us] = counts[us] - tonumber(data[us + interval])
      end
      if counts[us] < 0 then return nil end
   end
   return counts
end

local function percentile(counts, max, samples, percent)
   local rank, seen = math.ceil(samples * percent / 100), 0
   for us = 1, max do
      seen = seen + counts[us]
      if seen >= rank then return us end
   end
   return max
end

local function report(counts, max, samples, invented)
   local parts = {}
   for _, percent in ipairs({ 50, 75, 90, 99, 99.9 }) do
      parts[#parts + 1] = string.format("p%g %d", percent, percentile(counts, max, samples, percent))
   end
   io.write(string.format("Measured latency (us): %s max %d; samples %d, invented by wrk %d\n",
      table.concat(parts, " "), max, samples, invented))
end

-- The mean time between two requests of one connection, as wrk reckons it; nil when a connection
-- had less than one, for then wrk adds nothing.
local function interval_of(summary, connections)
   local each = math.floor(summary.requests / connections)
   return each > 0 and math.floor(summary.duration / each) or nil
end

function done(summary, latency, _)
   io.write(string.format("Bytes read: %.0f\n", summary.bytes))
   local connections = connections_asked()
   local data, max = histogram(latency)
   if not connections or not data then return end

   local printed_counts = measured_counts(data, max, max)
   local printed, expected = total(printed_counts, max), summary.requests / DEPTH
   local undone = measured_counts(data, max, interval_of(summary, connections) or max)
   local left = undone and total(undone, max)
   if undone and math.abs(left - expected) <= math.abs(printed - expected) then
      report(undone, max, left, printed - left)
   else
      report(printed_counts, max, printed, 0)
   end
end
