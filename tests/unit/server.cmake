# Tests of src/server but for the command line.
unit_test(server_api)
unit_test(server_visit)
unit_test(signals)
unit_test(supervisor WRAP calloc pthread_create)
unit_test(watchdog)
unit_test(watchdog_trace)
set_target_properties(unit_watchdog_trace PROPERTIES ENABLE_EXPORTS ON)
