# Tests of src/server but for the command line.
unit_test(server_api)
unit_test(server_visit)
unit_test(signals)

unit_test(admin_metrics)
unit_test(admin_view)
foreach(name IN ITEMS metrics view)
    target_sources(unit_admin_${name} PRIVATE unit/admin_support.c)
endforeach()
unit_test(admin_place)
unit_test(server_admin)
