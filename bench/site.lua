-- site.lua - wrk asks for the paths named after its address, one after the other, round and round.
--
-- Every thread begins at another path; each connection takes what is next in its thread. A path is
-- asked for as often as it is named. The requests are built once a thread, with the headers of the command line.

dofile("bench/latency.lua") -- wrk runs in the repository's root

local threads = 0

function setup(thread)
   thread:set("number", threads)
   threads = threads + 1
end

local requests, at = {}, 0

function init(paths)
   for i, path in ipairs(paths) do
      requests[i] = wrk.format(nil, path)
   end
   at = number * 7 % #requests
end

function request()
   at = at % #requests + 1
   return requests[at]
end
