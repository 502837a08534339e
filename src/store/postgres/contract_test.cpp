// The PostgreSQL engine under the contract of every store, each test in a database of its own.

#include "contract/store_contract.hpp"
#include "integration/support/postgres_server.hpp"
#include "store/postgres/engine.hpp"

