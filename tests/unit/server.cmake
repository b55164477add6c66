# Tests of src/server but for the command line.
unit_test(server_api)
unit_test(server_visit)
unit_test(signals)
