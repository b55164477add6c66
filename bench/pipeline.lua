-- pipeline.lua - wrk sends 16 requests in one write and waits for the 16 answers.
--
-- The batch is built once a thread; each of its requests has the headers of the command line.

dofile("bench/latency.lua") -- wrk runs in the repository's root

DEPTH = 16

local batch

function init(_)
   local requests = {}
   for i = 1, DEPTH do
      requests[i] = wrk.format()
   end
   batch = table.concat(requests)
end

function request()
   return batch
end
