import Metering

extension Bus {
    /// What the loop has in hand of one device. An object: the loop of each bus holds it all day, and holds no copies of it. What it asks of
    /// it is never made part of the loop: that would make room for a copy.
    final class Hand {
        var plan: ReadPlan
        /// Nil for a device whose profile is its map.
        var finder: SunSpecFinder?
        var lastAnswer: Uptime?

        init(plan: ReadPlan, finder: SunSpecFinder?) {
            self.plan = plan
            self.finder = finder
        }

        /// Its map is what it is found to have.
        var isFound: Bool { @inline(never) get { finder != nil } }

        var isSearching: Bool { @inline(never) get { finder?.isSearching ?? false } }

        /// Goes on with the search that is under way, or begins one.
        @inline(never) func beginSearch() { if !isSearching { finder?.begin() } }
    }
}
