# Tests of what the models of bench/ share.
if(TARGET models_common)
    unit_test(models_links WRAP calloc)
    unit_test(models_talk WRAP malloc calloc realloc)
    foreach(name IN ITEMS links talk)
        target_link_libraries(unit_models_${name} PRIVATE models_common)
    endforeach()
endif()
